package qr_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/paysera/qr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ExampleNew() {
	code, err := paysera.NewSpotCode(3, "TABLE1")
	if err != nil {
		fmt.Println(err)
		return
	}
	drawn, err := qr.New(code)
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := drawn.PNG(8)
	fmt.Println(drawn.Size(), len(file) > 0, err)
	// On a terminal: fmt.Print(drawn.Text(qr.Dark))

	// Output:
	// 29 true <nil>
}

func TestCodesAreReadAgain(t *testing.T) {
	identifiers := []string{
		"1", "TABLE1", "TABLE 1 $%*+-./:", "table1", "Tisch 7 im Garten", "стол 1", "咖啡", `A"B\C`,
	}
	for n := 20; n <= 200; n += 20 {
		identifiers = append(identifiers, strings.Repeat("A", n), strings.Repeat("b", n))
	}
	versions := map[int]bool{}
	for _, identifier := range identifiers {
		code, err := paysera.NewSpotCode(9975, identifier)
		require.NoError(t, err)
		drawn, err := qr.New(code)
		require.NoError(t, err)
		for _, scale := range []int{1, 4} {
			file, err := drawn.PNG(scale)
			require.NoError(t, err)
			img, err := png.Decode(bytes.NewReader(file))
			require.NoError(t, err)
			require.Equal(t, image.Rect(0, 0, drawn.Size()*scale, drawn.Size()*scale), img.Bounds())
			modules, quiet, err := scan(img)
			require.NoError(t, err)
			require.Equal(t, 4, quiet)
			text, err := decode(modules)
			require.NoError(t, err, "%s", identifier)
			require.Equal(t, code.String(), text)
			versions[len(modules)] = true
		}
		for _, ground := range []qr.Ground{qr.Dark, qr.Light} {
			modules, quiet, err := scan(onTerminal(t, drawn, ground))
			require.NoError(t, err)
			require.Equal(t, 4, quiet)
			text, err := decode(modules)
			require.NoError(t, err)
			require.Equal(t, code.String(), text)
		}
	}
	require.Greater(t, len(versions), 8, "codes of many sizes were read")
}

// onTerminal is how a terminal shows the text of a code, with a pixel for each half of a character.
func onTerminal(t *testing.T, drawn qr.Code, ground qr.Ground) image.Image {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(drawn.Text(ground), "\n"), "\n")
	require.Len(t, lines, (drawn.Size()+1)/2)
	ink, paper := color.White, color.Black
	if ground == qr.Light {
		ink, paper = paper, ink
	}
	img := image.NewGray16(image.Rect(0, 0, drawn.Size(), drawn.Size()))
	for row, line := range lines {
		require.Equal(t, drawn.Size(), utf8.RuneCountInString(line))
		for x, character := range []rune(line) {
			halves := map[rune][2]color.Gray16{'█': {ink, ink}, '▀': {ink, paper}, '▄': {paper, ink}, ' ': {paper, paper}}[character]
			img.SetGray16(x, 2*row, halves[0])
			img.SetGray16(x, 2*row+1, halves[1])
		}
	}
	return img
}

func TestScaleIsBounded(t *testing.T) {
	code, err := paysera.NewSpotCode(3, "TABLE1")
	require.NoError(t, err)
	drawn, err := qr.New(code)
	require.NoError(t, err)
	require.Equal(t, drawn.Size(), drawn.Image(-1).Bounds().Dx())
	require.Equal(t, drawn.Size()*64, drawn.Image(1<<30).Bounds().Dx())
}

func TestWhatIsNoCodeIsRefused(t *testing.T) {
	for _, code := range []paysera.SpotCode{{}, {LocationID: 3}, {Identifier: "TABLE1"}, {LocationID: 3, Identifier: strings.Repeat("x", 201)}} {
		_, err := qr.New(code)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	_, err := qr.Code{}.PNG(1)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Empty(t, qr.Code{}.Text(qr.Dark))
}
