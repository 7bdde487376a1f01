package acceptance;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import scalekit.v1.errdetails.Errdetails.ErrorInfo;
import scalekit.v1.errdetails.Errdetails.ValidationErrorInfo.FieldViolation;

/**
 * Runs scenarios against the server of the environment variables. Each line of the input is one, with its arguments, as
 * JSON; each is answered by one line: {"ok": result, "sign_ins": n} or {"error": {code, message, error_code, fields, status}}.
 */
public final class Main {
  public static void main(String[] args) throws Exception {
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    JsonFormat.Printer printer = JsonFormat.printer().omittingInsignificantWhitespace();
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      System.out.println(printer.print(Scenarios.value(run(Client.json(line)))));
    }
  }

  private static Map<String, Object> run(Struct in) throws Exception {
    try (Client client = new Client(Scenarios.text(in, "old_token"))) {
      Object result = Scenarios.run(Scenarios.text(in, "scenario"), client, in);
      return Map.of("ok", result, "sign_ins", client.signIns);
    } catch (RuntimeException error) {
      return Map.of("error", describe(error));
    }
  }

  /** What a caller can learn from an error: the code, and the details that the server packed into it. */
  private static Map<String, Object> describe(RuntimeException error) throws IOException {
    Map<String, Object> described = new HashMap<>();
    StringBuilder message = new StringBuilder();
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      message.append(cause).append('\n');
    }
    described.put("message", message.toString());
    if (error instanceof Client.TokenException token) {
      described.put("status", token.status);
      described.put("error_code", token.code);
    }
    if (error instanceof StatusRuntimeException refused) {
      described.put("code", refused.getStatus().getCode().name());
      for (Any detail : StatusProto.fromThrowable(refused).getDetailsList()) {
        describe(detail, described);
      }
    }
    return described;
  }

  private static void describe(Any detail, Map<String, Object> described) throws InvalidProtocolBufferException {
    if (detail.is(ErrorInfo.class)) {
      ErrorInfo info = detail.unpack(ErrorInfo.class);
      described.put("error_code", info.getErrorCode());
      described.put("request_id", info.getRequestInfo().getRequestId());
      described.put("fields",
          info.getValidationErrorInfo().getFieldViolationsList().stream().map(FieldViolation::getField).toList());
    }
  }
}
