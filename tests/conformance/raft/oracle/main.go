// The oracle runs directives in the real etcd/raft, one script after another:
//
//	stdin   a directive's line; its input lines; a line "----"
//	stdout  what etcd/raft's own interaction environment prints; a line "----"
//
// The directive "reset" begins a new script. Log lines are silenced by the reader.
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/cockroachdb/datadriven"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/rafttest"
)

// The timeout is drawn at random there and settable for its own tests only.
func setTimeout(node *raft.RawNode, timeout int) {
	core := reflect.ValueOf(node).Elem().FieldByName("raft").Elem()
	field := core.FieldByName("randomizedElectionTimeout")
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().SetInt(int64(timeout))
}

func newEnvironment() *rafttest.InteractionEnv {
	return rafttest.NewInteractionEnv(&rafttest.InteractionOpts{SetRandomizedElectionTimeout: setTimeout})
}

// etcd's own scripts have no word for reads: "read-index <id> <name>".
func readIndex(env *rafttest.InteractionEnv, arguments []datadriven.CmdArg) string {
	id, err := strconv.Atoi(arguments[0].Key)
	if err != nil {
		return err.Error()
	}
	env.Nodes[id-1].ReadIndex([]byte(arguments[1].Key))
	return "ok"
}

func handle(env *rafttest.InteractionEnv, line, input string) (output string) {
	defer func() {
		if cause := recover(); cause != nil {
			output = fmt.Sprintf("panic: %v\n", cause)
		}
	}()
	command, arguments, err := datadriven.ParseLine(line)
	if err != nil {
		return err.Error() + "\n"
	}
	if command == "read-index" {
		return readIndex(env, arguments)
	}
	return env.Handle(&testing.T{}, datadriven.TestData{
		Pos: "oracle", Cmd: command, CmdArgs: arguments, Input: strings.TrimSpace(input),
	})
}

func main() {
	env := newEnvironment()
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		input := ""
		for {
			more, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if more == "----\n" {
				break
			}
			input += more
		}
		output := "ok\n"
		if line == "reset" {
			env = newEnvironment()
		} else {
			output = handle(env, line, input)
		}
		if !strings.HasSuffix(output, "\n") {
			output += "\n"
		}
		fmt.Fprintf(out, "%s----\n", output)
		out.Flush()
	}
}
