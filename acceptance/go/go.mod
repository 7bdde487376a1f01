// Calls the server with stubs that are generated from proto/ when the tests run; see docs/guides/go-and-java.md.
module example.com/app

go 1.24.0

require (
	connectrpc.com/connect v1.19.1
	google.golang.org/protobuf v1.36.12
)
