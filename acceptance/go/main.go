// Runs scenarios against the server of the environment variables. Each line of the input is one, with its arguments, as
// JSON; each is answered by one line: {"ok": result, "sign_ins": n} or {"error": {code, message, error_code, fields, status}}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	"example.com/app/gen/scalekit/v1/errdetails"
)

// arguments of all scenarios; each uses some.
type arguments struct {
	Scenario   string `json:"scenario"`
	OldToken   string `json:"old_token"`
	ID         string `json:"id"`
	Name       string `json:"name"`
	ExternalID string `json:"external_id"`
	Provider   string `json:"provider"`
	Connection string `json:"connection"`
	Identifier string `json:"identifier"`
	Credential string `json:"credential"`
}

type result map[string]any

func main() {
	input, output := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for input.More() {
		var in arguments
		if err := input.Decode(&in); err != nil {
			log.Fatal(err)
		}
		if err := output.Encode(run(in)); err != nil {
			log.Fatal(err)
		}
	}
}

func run(in arguments) result {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := newClient(in.OldToken)
	ok, err := scenarios[in.Scenario](ctx, c, in)
	if err != nil {
		return result{"error": describe(err)}
	}
	return result{"ok": ok, "sign_ins": c.signIns}
}

// describe tells what a caller can learn from an error: the code, and the details that the server packed into it.
func describe(err error) result {
	described := result{"message": err.Error()}
	var token *tokenError
	if errors.As(err, &token) {
		described["status"], described["error_code"] = token.status, token.code
	}
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return described
	}
	described["code"] = strings.ToUpper(refused.Code().String())
	for _, detail := range refused.Details() {
		value, err := detail.Value()
		if err != nil {
			continue
		}
		if info, ok := value.(*errdetails.ErrorInfo); ok {
			fields := []string{}
			for _, violation := range info.GetValidationErrorInfo().GetFieldViolations() {
				fields = append(fields, violation.Field)
			}
			described["error_code"], described["fields"] = info.ErrorCode, fields
			described["request_id"] = info.GetRequestInfo().GetRequestId()
		}
	}
	return described
}
