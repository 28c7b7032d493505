package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// results are the two files of a report: what is read, and beside it the JSON that it is written from.
type results struct{ text, data string }

func resultsAt(path string) results {
	return results{path, strings.TrimSuffix(path, filepath.Ext(path)) + ".json"}
}

// load returns what earlier runs have found out, which is nothing if there is no file.
func (f results) load() (*report, error) {
	text, err := os.ReadFile(f.data)
	if errors.Is(err, fs.ErrNotExist) {
		return &report{}, nil
	}
	r := &report{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("the results of earlier runs can't be read, so nothing is measured that would overwrite them (move %s away to begin anew): %w",
			f.data, err)
	}
	return r, nil
}

// save writes both files. Whenever the program is ended, each is there as it was before or as it is now.
func (f results) save(r *report, names []string) error {
	err := replace(f.data, func(w io.Writer) error {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		return out.Encode(r)
	})
	if err != nil {
		return err
	}
	return replace(f.text, func(w io.Writer) error { return r.write(w, names) })
}

// replace writes a file anew, or leaves it as it is.
func replace(path string, write func(io.Writer) error) error {
	file, err := os.Create(path + ".new") //nolint:gosec // it is what the user asked for.
	if err != nil {
		return err
	}
	err = errors.Join(write(file), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
