package smartconnect

import (
	"slices"
	"strings"

	"github.com/tillroute/tillroute"
)

// Virtual is one of the registers that a [Lane] has at SmartConnect.
type Virtual struct {
	// Name is what people choose it by: "counter", "drive-through".
	Name string
	// ID is its register ID, of its own for each.
	ID tillroute.Secret
}

// Lane is one place at the till that may use several terminals. SmartConnect pairs a register with one terminal alone, so
// the lane has a virtual register for each: every one is paired by itself, and for each transaction somebody, or some
// rule, chooses. It doesn't change, and is safe for concurrent use. The zero value has no registers.
type Lane struct {
	names     []string
	registers []Register
}

// Lane returns a lane with these virtual registers, in the order in which people shall see them. Missing and repeated
// names and IDs are an error of kind Invalid: two virtual registers of one ID would be one register, which the later
// pairing takes away from the earlier one's terminal.
func (c *Client) Lane(virtual ...Virtual) (Lane, error) {
	const operation = "Lane"
	if err := c.ready(operation); err != nil {
		return Lane{}, err
	}
	var l Lane
	ids := map[tillroute.Secret]bool{}
	for _, v := range virtual {
		switch {
		case strings.TrimSpace(v.Name) == "":
			return Lane{}, tillroute.Invalid(Provider, operation, "a virtual register has no name to choose it by")
		case slices.Contains(l.names, v.Name):
			return Lane{}, tillroute.Invalid(Provider, operation, "two virtual registers have the name %.40q", v.Name)
		case v.ID == "":
			return Lane{}, tillroute.Invalid(Provider, operation, "the virtual register %.40q has no ID", v.Name)
		case ids[v.ID]:
			return Lane{}, tillroute.Invalid(Provider, operation, "the virtual register %.40q has the ID of another one", v.Name)
		}
		ids[v.ID] = true
		l.names = append(l.names, v.Name)
		l.registers = append(l.registers, c.Register(v.ID))
	}
	return l, nil
}

// Names returns what there is to choose from, in the lane's order.
func (l Lane) Names() []string { return slices.Clone(l.names) }

// Select returns the virtual register of that name. Any other name is an error of kind Invalid, which says what there is.
func (l Lane) Select(name string) (Register, error) {
	i := slices.Index(l.names, name)
	if i < 0 {
		return Register{}, tillroute.Invalid(Provider, "Select", "the lane has no terminal %.40q: choose one of %.200q", name, l.names)
	}
	return l.registers[i], nil
}
