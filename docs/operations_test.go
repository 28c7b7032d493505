package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOperationsExplainTheLog looks for each warning and error of the router in operations.md.
func TestOperationsExplainTheLog(t *testing.T) {
	page, err := os.ReadFile("operations.md")
	require.NoError(t, err)
	files, err := filepath.Glob("../pairing/*.go")
	require.NoError(t, err)
	found := 0
	var missing []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for n := range ast.Preorder(file) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				continue
			}
			message := complaint(call)
			if message == "" {
				continue
			}
			found++
			if !strings.Contains(string(page), "`"+message+"`") {
				missing = append(missing, message)
			}
		}
	}
	require.Empty(t, missing)
	require.Greater(t, found, 10)
}

// complaint returns the message of a call that logs at warn or error level, or "".
func complaint(call *ast.CallExpr) string {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	var text ast.Expr
	switch {
	case method.Sel.Name == "complain":
		text = call.Args[1]
	case method.Sel.Name == "LogAttrs" && !atLevelInfo(call.Args[1]):
		text = call.Args[2]
	}
	literal, ok := text.(*ast.BasicLit)
	if !ok {
		return "" // what complain itself hands on
	}
	message, _ := strconv.Unquote(literal.Value)
	return message
}

func atLevelInfo(level ast.Expr) bool {
	name, ok := level.(*ast.SelectorExpr)
	return ok && name.Sel.Name == "LevelInfo"
}
