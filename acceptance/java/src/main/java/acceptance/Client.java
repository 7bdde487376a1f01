package acceptance;

import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import scalekit.v1.connected_accounts.ConnectedAccountServiceGrpc;
import scalekit.v1.connected_accounts.ConnectedAccountServiceGrpc.ConnectedAccountServiceBlockingStub;
import scalekit.v1.connections.ConnectionServiceGrpc;
import scalekit.v1.connections.ConnectionServiceGrpc.ConnectionServiceBlockingStub;
import scalekit.v1.organizations.OrganizationServiceGrpc;
import scalekit.v1.organizations.OrganizationServiceGrpc.OrganizationServiceBlockingStub;

/**
 * Calls one server over gRPC and REST as one API client. It asks for a token when a call is refused for want of one,
 * and then makes the call once more.
 */
final class Client implements AutoCloseable {
  /** What the token endpoint refused a sign-in with. */
  static final class TokenException extends RuntimeException {
    final int status;
    final String code;

    TokenException(int status, String code) {
      super("no token: " + status + " " + code);
      this.status = status;
      this.code = code;
    }
  }

  private final URI url;
  private final String id;
  private final String secret;
  private final ManagedChannel channel;
  // Nothing here trusts more than the Java runtime does.
  private final HttpClient http = HttpClient.newHttpClient();
  private String token;
  int signIns;

  final OrganizationServiceBlockingStub organizations;
  final ConnectionServiceBlockingStub connections;
  final ConnectedAccountServiceBlockingStub accounts;

  /** Reads the settings of dev.env. An old token may be given, also one that is no longer good. */
  Client(String token) {
    Map<String, String> env = System.getenv();
    this.url = URI.create(env.get("SCALEKIT_ENV_URL"));
    this.id = env.get("SCALEKIT_CLIENT_ID");
    this.secret = env.get("SCALEKIT_CLIENT_SECRET");
    this.token = token;
    int port = url.getPort() == -1 ? 443 : url.getPort();
    this.channel = Grpc.newChannelBuilderForAddress(url.getHost(), port, TlsChannelCredentials.create())
        .userAgent("acceptance-java/1")
        .intercept(new Names())
        .build();
    this.organizations = OrganizationServiceGrpc.newBlockingStub(channel);
    this.connections = ConnectionServiceGrpc.newBlockingStub(channel);
    this.accounts = ConnectedAccountServiceGrpc.newBlockingStub(channel);
  }

  /** Makes a call; once more with a new token when the server does not take the one at hand. */
  <T> T call(Supplier<T> call) {
    try {
      return call.get();
    } catch (StatusRuntimeException refused) {
      if (refused.getStatus().getCode() != Status.Code.UNAUTHENTICATED) {
        throw refused;
      }
      signIn();
      return call.get();
    }
  }

  /** Gets a token. The old one rides along: clients that put it on every request do so. */
  void signIn() {
    signIns++;
    String form = Map.of("grant_type", "client_credentials", "client_id", id, "client_secret", secret).entrySet().stream()
        .map(field -> field.getKey() + "=" + URLEncoder.encode(field.getValue(), StandardCharsets.UTF_8))
        .collect(Collectors.joining("&"));
    HttpResponse<String> answer =
        send("/oauth/token", form, Map.of("content-type", "application/x-www-form-urlencoded"));
    Struct body = json(answer.body());
    if (answer.statusCode() != 200) {
      throw new TokenException(answer.statusCode(), body.getFieldsOrThrow("error").getStringValue());
    }
    token = body.getFieldsOrThrow("access_token").getStringValue();
  }

  boolean hasToken() {
    return !token.isEmpty();
  }

  /** Makes one plain HTTP request with the current token, if there is one. */
  HttpResponse<String> send(String path, String body, Map<String, String> headers) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path)).POST(BodyPublishers.ofString(body));
    headers.forEach(request::header);
    if (hasToken()) {
      request.header("authorization", "Bearer " + token);
    }
    try {
      return http.send(request.build(), BodyHandlers.ofString());
    } catch (IOException broken) {
      throw new IllegalStateException(broken);
    } catch (InterruptedException stopped) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(stopped);
    }
  }

  static Struct json(String text) {
    try {
      Struct.Builder parsed = Struct.newBuilder();
      JsonFormat.parser().merge(text, parsed);
      return parsed.build();
    } catch (IOException notJson) {
      throw new IllegalArgumentException(text, notJson);
    }
  }

  @Override
  public void close() throws InterruptedException {
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
  }

  /** Says who calls and with what, as the official clients do. */
  private final class Names implements ClientInterceptor {
    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void start(Listener<A> listener, Metadata headers) {
          put(headers, "x-sdk-version", "acceptance-java/1");
          put(headers, "x-api-version", "20260101");
          if (hasToken()) {
            put(headers, "authorization", "Bearer " + token);
          }
          super.start(listener, headers);
        }
      };
    }

    private void put(Metadata headers, String name, String value) {
      headers.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value);
    }
  }
}
