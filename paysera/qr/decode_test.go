package qr_test

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"strings"
)

// matrix is a QR code without its quiet zone: dark modules are true.
type matrix [][]bool

// scan reads the modules of an image of a code that stands upright, as a reader does: by the first finder pattern, whose edge is
// seven modules wide.
func scan(img image.Image) (m matrix, quiet int, err error) {
	dark := func(x, y int) bool { r, _, _, _ := img.At(x, y).RGBA(); return r < 0x8000 }
	bounds := img.Bounds()
	left := 0
	for left < bounds.Dx() && !dark(left, left) {
		left++
	}
	end := left
	for end < bounds.Dx() && dark(end, left) {
		end++
	}
	scale := (end - left) / 7
	if scale == 0 || left%scale != 0 || bounds.Dx() != bounds.Dy() || bounds.Dx()%scale != 0 {
		return nil, 0, errors.New("there is no finder pattern")
	}
	quiet = left / scale
	side := bounds.Dx()/scale - 2*quiet
	for y := range side {
		row := make([]bool, side)
		for x := range row {
			row[x] = dark(left+x*scale+scale/2, left+y*scale+scale/2)
		}
		m = append(m, row)
	}
	return m, quiet, nil
}

// blocks says how the codewords of a version with error correction M are split: for each block the number of data codewords.
type blocks struct {
	correction int
	data       []int
}

func repeat(pairs ...int) (list []int) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, slices.Repeat([]int{pairs[i+1]}, pairs[i])...)
	}
	return list
}

// split is ISO/IEC 18004's table 9, and centres its annex E.
func split() map[int]blocks {
	return map[int]blocks{
		1: {10, repeat(1, 16)}, 2: {16, repeat(1, 28)}, 3: {26, repeat(1, 44)}, 4: {18, repeat(2, 32)},
		5: {24, repeat(2, 43)}, 6: {16, repeat(4, 27)}, 7: {18, repeat(4, 31)}, 8: {22, repeat(2, 38, 2, 39)},
		9: {22, repeat(3, 36, 2, 37)}, 10: {26, repeat(4, 43, 1, 44)}, 11: {30, repeat(1, 50, 4, 51)},
	}
}

func centres() map[int][]int {
	return map[int][]int{
		2: {6, 18}, 3: {6, 22}, 4: {6, 26}, 5: {6, 30}, 6: {6, 34}, 7: {6, 22, 38}, 8: {6, 24, 42}, 9: {6, 26, 46},
		10: {6, 28, 50}, 11: {6, 30, 54},
	}
}

// decode reads the text of a code with error correction M. It corrects nothing: a code that was just drawn has no errors.
func decode(m matrix) (string, error) {
	side := len(m)
	version := (side - 17) / 4
	table, ok := split()[version]
	if side != 17+4*version || !ok {
		return "", fmt.Errorf("no code has %d modules", side)
	}
	mask, err := format(m)
	if err != nil {
		return "", err
	}
	words := codewords(m, version, mask)
	data, err := joined(words, table)
	if err != nil {
		return "", err
	}
	return message(data, version)
}

// format reads the format information, and returns which mask the data has.
func format(m matrix) (int, error) {
	bits, again, side := 0, 0, len(m)
	for i := range 15 {
		var x, y, x2, y2 int
		switch {
		case i < 6:
			x, y = i, 8
		case i < 7:
			x, y = 7, 8
		case i < 8:
			x, y = 8, 8
		case i < 9:
			x, y = 8, 7
		default:
			x, y = 8, 14-i
		}
		if x2, y2 = 8, side-1-i; i >= 7 {
			x2, y2 = side-15+i, 8
		}
		bits, again = bits<<1|bit(m[y][x]), again<<1|bit(m[y2][x2])
	}
	if bits != again {
		return 0, errors.New("the two formats differ")
	}
	bits ^= 0b101010000010010
	remainder := bits
	for i := 14; i >= 10; i-- {
		if remainder>>i&1 == 1 {
			remainder ^= 0b10100110111 << (i - 10)
		}
	}
	if remainder != 0 {
		return 0, errors.New("the format is damaged")
	}
	if bits>>13 != 0 {
		return 0, errors.New("the error correction isn't M")
	}
	return bits >> 10 & 7, nil
}

func bit(dark bool) int {
	if dark {
		return 1
	}
	return 0
}

// function reports whether a module has no data.
func function(x, y, version int) bool {
	side := 17 + 4*version
	switch {
	case x == 6 || y == 6, x < 9 && y < 9, x >= side-8 && y < 9, x < 9 && y >= side-8:
		return true
	case version >= 7 && (x >= side-11 && y < 6 || y >= side-11 && x < 6):
		return true
	}
	for _, cx := range centres()[version] {
		for _, cy := range centres()[version] {
			last := side - 7
			corner := cx == 6 && cy == 6 || cx == 6 && cy == last || cx == last && cy == 6
			if !corner && max(x-cx, cx-x) <= 2 && max(y-cy, cy-y) <= 2 {
				return true
			}
		}
	}
	return false
}

func masked(x, y, mask int) bool {
	return []bool{
		(x+y)%2 == 0, y%2 == 0, x%3 == 0, (x+y)%3 == 0, (y/2+x/3)%2 == 0,
		x*y%2+x*y%3 == 0, (x*y%2+x*y%3)%2 == 0, ((x+y)%2+x*y%3)%2 == 0,
	}[mask]
}

// codewords reads the data in columns of two from the right, up and down.
func codewords(m matrix, version, mask int) []byte {
	side := len(m)
	var words []byte
	word, n, up := 0, 0, true
	for right := side - 1; right > 0; right -= 2 {
		if right == 6 {
			right--
		}
		for i := range side {
			y := i
			if up {
				y = side - 1 - i
			}
			for _, x := range []int{right, right - 1} {
				if function(x, y, version) {
					continue
				}
				word = word<<1 | bit(m[y][x] != masked(x, y, mask))
				if n++; n%8 == 0 {
					words = append(words, byte(word))
					word = 0
				}
			}
		}
		up = !up
	}
	return words
}

// joined puts the blocks in order, and checks each against its error correction.
func joined(words []byte, table blocks) ([]byte, error) {
	list := make([][]byte, len(table.data))
	for i := range slices.Max(table.data) {
		for b, n := range table.data {
			if i < n {
				list[b], words = append(list[b], words[0]), words[1:]
			}
		}
	}
	var data []byte
	for b := range list {
		data = append(data, list[b]...)
	}
	for range table.correction {
		for b := range list {
			list[b], words = append(list[b], words[0]), words[1:]
		}
	}
	for b, block := range list {
		root := byte(1)
		for range table.correction {
			var sum byte
			for _, word := range block {
				sum = times(sum, root) ^ word
			}
			if sum != 0 {
				return nil, fmt.Errorf("block %d is damaged", b)
			}
			root = times(root, 2)
		}
	}
	return data, nil
}

// times multiplies in GF(256) with the polynomial of QR codes.
func times(a, b byte) byte {
	product := 0
	for i := 7; i >= 0; i-- {
		product <<= 1
		if product&0x100 != 0 {
			product ^= 0x11d
		}
		if b>>i&1 == 1 {
			product ^= int(a)
		}
	}
	return byte(product)
}

// message reads the segments.
func message(data []byte, version int) (string, error) {
	at := 0
	take := func(n int) int {
		value := 0
		for range n {
			value = value<<1 | int(data[at/8]>>(7-at%8)&1)
			at++
		}
		return value
	}
	var text strings.Builder
	for len(data)*8-at >= 4 {
		switch mode := take(4); mode {
		case 0:
			return text.String(), nil
		case 2:
			const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
			width := 9
			if version > 9 {
				width = 11
			}
			for n := take(width); n > 0; n -= 2 {
				if n == 1 {
					text.WriteByte(letters[take(6)])
					break
				}
				pair := take(11)
				text.WriteByte(letters[pair/45])
				text.WriteByte(letters[pair%45])
			}
		case 4:
			width := 8
			if version > 9 {
				width = 16
			}
			for range take(width) {
				text.WriteByte(byte(take(8)))
			}
		default:
			return "", fmt.Errorf("a segment has the mode %d", mode)
		}
	}
	return text.String(), nil
}
