package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// changeMost is how many changes go into one request.
const changeMost = 4096

func newChange() *cobra.Command {
	c := &cobra.Command{
		Use: "change FILE", Short: "Change single people as a CSV file says; faulty changes are named and left out", Args: exactly(1),
		Long:    "The header of the file is: " + geofence.ChangeHeader + "\nA change is put (take in, or change what is not empty), unsubscribe, resubscribe or erase.",
		Example: "  tocsin directory change moved.csv\n  tocsin directory change erased.csv --why 'asked by letter'",
	}
	k := calls(c).answers(c).changes(c)
	why := c.Flags().String("why", "", "why people are erased; needed where some are, and names nobody")
	badPath := c.Flags().String("bad", "", "file for all rows that cannot be read, one a line (default: the standard error)")
	c.RunE = func(c *cobra.Command, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		changes, unread, err := geofence.ReadChanges(f)
		if err != nil {
			return err
		}
		badTo, kept, err := badRows(c, *badPath)
		if err != nil {
			return err
		}
		for _, b := range unread {
			fmt.Fprintln(badTo, b)
		}
		if err := kept(); err != nil {
			return err
		}
		all := make([]*pb.PersonChange, len(changes))
		for i := range changes {
			ch := &changes[i]
			all[i] = &pb.PersonChange{Number: ch.Number}
			switch geofence.DeedName(ch.Deed) {
			case "put":
				to := &pb.Person{LonE7: ch.Lon, LatE7: ch.Lat, Home: ch.Home, Language: wide(ch.Language), Role: wide(ch.Duty)}
				if ch.NewNumber != 0 {
					to.NewNumber = &ch.NewNumber
				}
				all[i].What = &pb.PersonChange_Put{Put: to}
			case "unsubscribe":
				all[i].What = &pb.PersonChange_Subscribed{}
			case "resubscribe":
				all[i].What = &pb.PersonChange_Subscribed{Subscribed: true}
			case "erase":
				all[i].What = &pb.PersonChange_Erase_{Erase: &pb.PersonChange_Erase{}}
			}
		}
		return k.change(c, all, *why)
	}
	return c
}

func wide(v *uint8) *uint32 {
	if v == nil {
		return nil
	}
	w := uint32(*v)
	return &w
}

// change sends changes in as many requests as they take; each has a key of its own that follows from the first.
func (k *client) change(c *cobra.Command, all []*pb.PersonChange, why string) error {
	return k.set(func(conn *grpc.ClientConn, key string) error {
		api := pb.NewDirectoryServiceClient(conn)
		sum := &pb.ChangeResponse{}
		for first := 0; first < len(all); first += changeMost {
			r, err := api.Change(c.Context(), &pb.ChangeRequest{Key: key + "-" + strconv.Itoa(first/changeMost), Why: why, Changes: all[first:min(first+changeMost, len(all))]})
			if err != nil {
				return err
			}
			sum.Snapshot, sum.People = r.GetSnapshot(), r.GetPeople()
			sum.Changed += r.GetChanged()
			sum.BadChanges += r.GetBadChanges()
			for _, b := range r.GetBad() {
				b.Row += int64(first)
				sum.Bad = append(sum.Bad, b)
			}
		}
		return k.put(c.OutOrStdout(), sum, k.language().Changed(sum)...)
	})
}

func newErase() *cobra.Command {
	c := &cobra.Command{
		Use: "erase NUMBER --why REASON", Short: "Take a person out for good: the record keeps the reason, and nothing keeps the number", Args: exactly(1),
		Example: "  tocsin directory erase 999100000001 --why 'asked by letter'",
	}
	k := calls(c).answers(c).changes(c)
	why := c.Flags().String("why", "", "the reason; it stands in the record and names nobody")
	c.RunE = func(c *cobra.Command, args []string) error {
		number, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil || *why == "" {
			return usage(fmt.Errorf("a number of digits and a reason are needed: %s", c.UseLine()))
		}
		return k.change(c, []*pb.PersonChange{{Number: number, What: &pb.PersonChange_Erase_{Erase: &pb.PersonChange_Erase{}}}}, *why)
	}
	return c
}
