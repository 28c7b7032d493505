package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestResultsAreReadAgain(t *testing.T) {
	files := resultsAt(filepath.Join(t.TempDir(), "RESULTS.md"))
	require.Equal(t, "RESULTS.json", filepath.Base(files.data))
	none, err := files.load()
	require.NoError(t, err)
	require.Empty(t, none.Answers)
	a := answered("a", 0.9)
	for _, m := range []measure{timeEach(), middle(), slowest(), memoryThen(), sizeOfBinary()} {
		a.table(m).Rows = []row{{What: "more", Comparison: ratios(1.5, 2), Limit: 1, Why: "so"}}
	}
	a.note("It is.")
	r := &report{Answers: []*answer{a}}
	require.NoError(t, files.save(r, []string{"a"}))
	again, err := files.load()
	require.NoError(t, err)
	require.Equal(t, written(t, r, "a"), written(t, again, "a"))
	text, err := os.ReadFile(files.text)
	require.NoError(t, err)
	require.Equal(t, written(t, r, "a"), string(text))
}

func TestResultsThatCannotBeReadAreKept(t *testing.T) {
	out := filepath.Join(t.TempDir(), "RESULTS.md")
	files := resultsAt(out)
	for _, damaged := range []string{"{", `{"answers": [{"tables": [{"measure": "luck"}]}]}`} {
		require.NoError(t, os.WriteFile(files.data, []byte(damaged), 0o600))
		require.ErrorContains(t, run(t.Context(), []string{"-short", "-only", "signing", "-o", out}, t.Output()), "can't be read")
		got, err := os.ReadFile(files.data)
		require.NoError(t, err)
		require.Equal(t, damaged, string(got))
	}
}

func TestAFileIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	full := errors.New("the disk is full")
	require.ErrorIs(t, replace(path, func(w io.Writer) error {
		_, _ = io.WriteString(w, "n")
		return full
	}), full)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
	require.NoFileExists(t, path+".new")
}

// two returns two questions, of which the first fails after a row in the way that end says.
func two(end func(context.Context) error) []question {
	one := func(ctx context.Context, b *bench, a *answer) error {
		var order []string
		return b.add(ctx, a.table(perSecond()), row{What: "a row"}, 1, 0, counted("ours", &order, 1), counted("theirs", &order, 1))
	}
	return []question{
		{"a", "A?", "", "", 0, func(ctx context.Context, b *bench, a *answer) error { return errors.Join(one(ctx, b, a), end(ctx)) }},
		{"b", "B?", "", "", 0, one},
	}
}

func TestEachRowIsSaved(t *testing.T) {
	b, r, saved := &bench{log: t.Output(), began: time.Now()}, &report{}, []string(nil)
	save := func() error {
		saved = append(saved, written(t, r, "a", "b"))
		return nil
	}
	broken := errors.New("the database\nis gone")
	err := b.ask(t.Context(), two(func(context.Context) error {
		require.Len(t, saved, 1, "before the question is answered")
		require.Contains(t, saved[0], "| a row | ours | theirs |")
		require.Contains(t, saved[0], "a was broken off (it did not come to its end); b was not measured", "should nothing more be written")
		return broken
	}), r, save)
	require.ErrorIs(t, err, broken)
	last := saved[len(saved)-1]
	require.Contains(t, last, "a was broken off (the database is gone)", "the next question is answered all the same")
	require.NotContains(t, last, "b was")
}

func TestARunThatIsBrokenOffKeepsItsRows(t *testing.T) {
	var log strings.Builder
	b, earlier := &bench{log: &log, began: time.Now()}, answered("b", 1)
	r := &report{Answers: []*answer{earlier}}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := b.ask(ctx, two(func(ctx context.Context) error {
		cancel(errors.New("interrupt signal received"))
		return ctx.Err()
	}), r, func() error { return nil })
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, r.answer("a").Tables[0].Rows, 1)
	require.Equal(t, "interrupt signal received", r.answer("a").Broken)
	require.Same(t, earlier, r.answer("b"), "what was not asked is as it was")
	require.Contains(t, log.String(), "a: took")
	require.NotContains(t, log.String(), "b: took", "nothing more is begun")
}

func TestAnAnswerWithoutARowReplacesNone(t *testing.T) {
	b, earlier := &bench{log: t.Output(), began: time.Now()}, answered("a", 1)
	r := &report{Answers: []*answer{earlier}}
	save := func() error { return nil }
	for _, c := range []struct {
		err  error
		want bool
	}{{errors.New("no PostgreSQL"), false}, {nil, true}} {
		_ = b.ask(t.Context(), []question{{"a", "A?", "", "", 0, func(_ context.Context, _ *bench, a *answer) error {
			a.note("left out")
			return c.err
		}}}, r, save)
		require.Equal(t, c.want, r.answer("a") != earlier)
	}
}
