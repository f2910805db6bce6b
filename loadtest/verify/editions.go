package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// Edition is outlines of units as they were imported.
type Edition struct {
	GeoJSON []byte
	CRS     string
}

// imported is the key of a unit in an edition; those that are shipped stand under their codes alone.
func imported(code, edition string) string { return code + " of " + edition }

// addEditions adds the outlines of editions, by the ids that areas name.
func addEditions(units map[string]area, editions map[string]Edition) error {
	for id, e := range editions {
		more, err := coded(e.GeoJSON, e.CRS)
		if err != nil {
			return fmt.Errorf("edition %s: %w", id, err)
		}
		for code, a := range more {
			units[imported(code, id)] = a
		}
	}
	return nil
}

// coded is the surfaces of a FeatureCollection by code: that of code9, code or adcode, else the id.
func coded(b []byte, crs string) (map[string]area, error) {
	var file struct {
		Features []struct {
			ID         json.RawMessage            `json:"id"`
			Properties map[string]json.RawMessage `json:"properties"`
			Geometry   geometry                   `json:"geometry"`
		} `json:"features"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	units := map[string]area{}
	for i, f := range file.Features {
		s, err := f.Geometry.shapes(crs)
		if err != nil {
			return nil, fmt.Errorf("features[%d]: %w", i, err)
		}
		code := ""
		for _, v := range []json.RawMessage{f.Properties["code9"], f.Properties["code"], f.Properties["adcode"], f.ID} {
			if v := strings.Trim(string(v), `"`); code == "" && v != "null" {
				code = short(v)
			}
		}
		units[code] = append(units[code], s...)
	}
	return units, nil
}

// short is a code with six or nine digits.
func short(code string) string {
	for len(code) == 12 || len(code) == 9 {
		cut, ok := strings.CutSuffix(code, "000")
		if !ok {
			break
		}
		code = cut
	}
	return code
}

// district is the code of the district of a home.
func district(home string) string { return home[:min(6, len(home))] }

// homeIn is the surface of the unit that a home is registered in, as areas mean it: of the town where they name towns by an
// edition that has it, else of the district, by an edition that they name or as it is shipped.
func homeIn(areas []*tocsinv1.Area, units map[string]area, home string) (area, bool) {
	for _, a := range areas {
		if e := a.GetEdition(); e != "" && len(short(a.GetUnit())) > 6 {
			if s, ok := units[imported(home, e)]; ok {
				return s, true
			}
		}
	}
	for _, a := range areas {
		if e := a.GetEdition(); e != "" {
			if s, ok := units[imported(district(home), e)]; ok {
				return s, true
			}
		}
	}
	s, ok := units[district(home)]
	return s, ok
}

// names tells whether areas name the unit of a home, or the district around it.
func names(areas []*tocsinv1.Area, home string) bool {
	return slices.ContainsFunc(areas, func(a *tocsinv1.Area) bool {
		unit := short(a.GetUnit())
		return unit != "" && (unit == home || unit == district(home))
	})
}

// byHome tells whether an area names a town without an outline.
func byHome(a *tocsinv1.Area) bool { return a.GetEdition() == "" && len(short(a.GetUnit())) == 9 }

// townNamed tells whether areas name the town of a home without an outline.
func townNamed(areas []*tocsinv1.Area, home string) bool {
	return slices.ContainsFunc(areas, func(a *tocsinv1.Area) bool { return byHome(a) && short(a.GetUnit()) == home })
}

// twelve is a code as platforms have it.
func twelve(code string) string {
	if len(code) == 0 || len(code) > 12 {
		return code
	}
	return code + "000000"[:12-max(6, len(code))]
}
