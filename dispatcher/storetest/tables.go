package storetest

import (
	"testing"

	"tocsin/dispatcher"
	"tocsin/warning"
)

func tables(t *testing.T, s Store) {
	put := func(field string, value []byte) {
		do(t, s, dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: field, Value: value}}})
	}
	put("a", []byte("1"))
	put("b", []byte{})
	put("c", []byte("3"))
	put("a", []byte("2"))
	put("c", nil)
	put("never", nil)
	got, err := s.Table(t.Context(), dispatcher.TableUsers)
	no(t, err)
	same(t, "the table", got, map[string][]byte{"a": []byte("2"), "b": {}})
	for _, c := range []struct {
		field    string
		was, now []byte
		err      error
	}{
		{"a", []byte("1"), []byte("3"), dispatcher.ErrChanged},
		{"a", []byte{}, []byte("3"), dispatcher.ErrChanged},
		{"never", []byte("2"), []byte("3"), dispatcher.ErrChanged},
		{"a", []byte("2"), []byte("3"), nil},
		{"never", []byte{}, []byte("4"), nil},
		{"never", []byte("4"), nil, nil},
	} {
		_, err := s.Do(t.Context(), dispatcher.Act{Puts: []dispatcher.Put{
			{Table: dispatcher.TableUsers, Field: "b"}, {Table: dispatcher.TableUsers, Field: c.field, Value: c.now, Was: c.was},
		}})
		if c.err == nil {
			no(t, err)
		} else {
			must(t, err, c.err)
		}
	}
	got, err = s.Table(t.Context(), dispatcher.TableUsers)
	no(t, err)
	same(t, "the table", got, map[string][]byte{"a": []byte("3")})
	f := own(t, s, "a", "one")
	do(t, s, dispatcher.Act{Fence: f, Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: "a"}}})
	f.Epoch++
	_, err = s.Do(t.Context(), dispatcher.Act{Fence: f, Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: "a", Value: []byte("5")}}})
	must(t, err, dispatcher.ErrFenced)
	got, err = s.Table(t.Context(), dispatcher.TableUsers)
	no(t, err)
	same(t, "the table", got, map[string][]byte{})
	got, err = s.Table(t.Context(), dispatcher.TableSeals)
	no(t, err)
	same(t, "another table", got, map[string][]byte{})
}

func otherState(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Released)})
	put := func(of int, is warning.State) error {
		_, err := s.Do(t.Context(), dispatcher.Act{
			StateOf: id(of), State: is, Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: "a", Value: []byte("1")}},
		})
		return err
	}
	must(t, put(1, warning.Held), dispatcher.ErrChanged)
	must(t, put(2, warning.Released), dispatcher.ErrChanged)
	got, err := s.Table(t.Context(), dispatcher.TableUsers)
	no(t, err)
	same(t, "the table", got, map[string][]byte{})
	no(t, put(1, warning.Released))
	move(t, s, 1, 1, warning.Held)
	must(t, put(1, warning.Released), dispatcher.ErrChanged)
	no(t, put(1, warning.Held))
}
