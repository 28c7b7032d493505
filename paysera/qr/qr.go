// Package qr draws the QR codes of Paysera's spots, for paper and for terminals.
//
//	code, err := paysera.NewSpotCode(3, "TABLE1")
//	drawn, err := qr.New(code)
//	png, err := drawn.PNG(8)
//
// It is a package of its own, so that programs which draw nothing don't bring its dependency along. Errors are
// [*tillroute.Error] values.
package qr

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"

	"github.com/boombuler/barcode/qr"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/paysera"
)

const (
	// quiet is how many modules stay light around a code, as ISO/IEC 18004 wants it.
	quiet = 4
	// maxScale keeps an image of the largest code below 4000 pixels.
	maxScale = 64
)

// Code is the QR code of a spot. It is safe for concurrent use. [New] makes one; the zero value is empty.
type Code struct {
	// size is the number of modules of a side, with the quiet zone, and dark has all of them, row by row.
	size int
	dark []bool
}

// New returns the QR code of a spot, which can be read with up to 15 % of it dirty or torn off. A code that
// [paysera.NewSpotCode] would not return is an error of kind Invalid. Identifiers with other characters than those of ASCII are
// written in UTF-8, which readers take for it, though the standard has them say so.
//
// API reference: https://developers.paysera.com/en/wallet/app/pos
func New(code paysera.SpotCode) (Code, error) {
	const operation = "qr.New"
	if _, err := paysera.NewSpotCode(code.LocationID, code.Identifier); err != nil {
		return Code{}, err
	}
	drawn, err := qr.Encode(code.String(), qr.M, qr.Auto)
	if err != nil {
		return Code{}, tillroute.Invalid(paysera.System, operation, "the code of the spot can't be drawn: %s", err)
	}
	side := drawn.Bounds().Dx()
	c := Code{size: side + 2*quiet}
	c.dark = make([]bool, c.size*c.size)
	for y := range side {
		for x := range side {
			c.dark[(y+quiet)*c.size+x+quiet] = color.Gray16Model.Convert(drawn.At(x, y)) == color.Black
		}
	}
	return c, nil
}

// Size returns how many modules, the little squares, a side has, with the four light ones around the code on each side.
func (c Code) Size() int { return c.size }

// Image returns the code in black and white, with that many pixels for a side of each module: 1 to 64, and 1 below, 64 above
// that. On paper a module wants 0.5 mm at least.
func (c Code) Image(scale int) image.Image {
	scale = min(max(scale, 1), maxScale)
	drawn := image.NewPaletted(image.Rect(0, 0, c.size*scale, c.size*scale), color.Palette{color.White, color.Black})
	for y := range c.size * scale {
		for x := range c.size * scale {
			if c.at(x/scale, y/scale) {
				drawn.SetColorIndex(x, y, 1)
			}
		}
	}
	return drawn
}

// PNG returns what Image does as the content of a PNG file. The zero Code is an error of kind Invalid.
func (c Code) PNG(scale int) ([]byte, error) {
	var file bytes.Buffer
	if err := png.Encode(&file, c.Image(scale)); err != nil {
		return nil, &tillroute.Error{
			System: paysera.System, Operation: "qr.Code.PNG", Kind: tillroute.KindInvalid, Outcome: tillroute.Failed, Err: err,
			Message: "the image can't be written",
		}
	}
	return file.Bytes(), nil
}

// Ground says what a terminal looks like: nothing tells a program.
type Ground int

const (
	// Dark terminals show light letters on a dark ground.
	Dark Ground = iota
	// Light terminals show dark letters on a light ground.
	Light
)

// Text returns the code in lines of half-block characters, two modules in each: as many columns as [Code.Size] says, and half
// as many lines. It has no escape sequences. On a ground of the other kind the code comes out inverted, which many phones can't read.
func (c Code) Text(ground Ground) string {
	var text strings.Builder
	for y := 0; y < c.size; y += 2 {
		for x := range c.size {
			// What is drawn is light on a dark terminal, and dark on a light one.
			upper, lower := c.at(x, y) == (ground == Light), c.at(x, y+1) == (ground == Light)
			switch {
			case upper && lower:
				text.WriteRune('█')
			case upper:
				text.WriteRune('▀')
			case lower:
				text.WriteRune('▄')
			default:
				text.WriteByte(' ')
			}
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// at reports whether a module is dark. Below the code none is.
func (c Code) at(x, y int) bool {
	return y < c.size && c.dark[y*c.size+x]
}
