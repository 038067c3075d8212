import Bytes
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Synchronization
import Testing
import TestKit
import Transport
import Values

/// A server with a few APIs on a loop, and a channel to it on another.
private final class Pair: Sendable {
  let group: EventLoopGroup
  let client: EventLoop
  let server: Server

  init(_ apis: ServedApis) throws {
    group = try EventLoopGroup(count: 1, name: "server")
    client = try EventLoop(name: "client")
    server = try Server(on: group) { _ in .frames(RequestServer(apis, listener: "CONTROLLER")) }
  }

  /// Sends one request and waits for its answer.
  func ask<R: KafkaRequest>(
    _ request: R, _ versions: ClosedRange<Int16>, policy: VersionPolicy = .negotiated
  ) async -> Result<R.Response, PeerError> {
    await withCheckedContinuation { continuation in
      client.execute { [self] in
        let channel = PeerChannel(
          to: "127.0.0.1", port: server.address.port, on: client, clientID: "test", name: "test",
          timeoutMs: 30_000, policy: policy)
        client.attachments[ObjectIdentifier(channel)] = channel
        channel.call(request, versions: versions) { continuation.resume(returning: $0) }
      }
    }
  }

  func stop() {
    server.stop()
    client.stop()
    client.join()
    group.stop()
  }
}

private func apiVersions(
  _ listed: @escaping @Sendable () -> [(ApiKey, ClosedRange<Int16>)]
) -> ServedApi {
  ServedApi(ApiVersionsRequest.self) { _, request in
    request.answer(
      ApiVersionsResponse {
        $0.apiKeys = listed().map { api, range in
          ApiVersionsResponse.ApiVersion {
            $0.apiKey = api.rawValue
            $0.minVersion = range.lowerBound
            $0.maxVersion = range.upperBound
          }
        }
      })
  }
}

@Suite struct RequestServerTests {
  @Test func theHighestCommonVersionIsUsed() async throws {
    let seen = Mutex<[Int16]>([])
    let pair = try Pair(
      ServedApis([
        apiVersions { [(.vote, 0...0), (.apiVersions, 0...4)] },
        ServedApi(VoteRequest.self) { _, request in
          seen.withLock { $0.append(request.version) }
          request.answer(VoteResponse { $0.errorCode = 42 })
        },
      ]))
    let answer = await pair.ask(VoteRequest(), 0...1)
    #expect(try answer.get().errorCode == 42)
    #expect(seen.withLock { $0 } == [0])
    // An API that the peer does not list is not sent at all.
    let refused = await pair.ask(FetchSnapshotRequest(), 0...1)
    #expect(throws: PeerError.unsupported(.fetchSnapshot)) { try refused.get() }
    pair.stop()
  }

  @Test func answersMayComeFromAnyThread() async throws {
    let pair = try Pair(
      ServedApis([
        ServedApi(VoteRequest.self) { _, request in
          Task.detached { request.answer(VoteResponse { $0.errorCode = 7 }) }
        }
      ]))
    let answer = await pair.ask(VoteRequest(), 1...1, policy: .agreed)
    #expect(try answer.get().errorCode == 7)
    pair.stop()
  }

  @Test func anEnvelopeRunsAsItsSender() async throws {
    let seen = Mutex<[String]>([])
    let inner: [ServedApi] = [
      ServedApi(DeleteTopicsRequest.self) { _, request in
        seen.withLock { $0 += [request.principal.text, request.clientHost] }
        request.answer(DeleteTopicsResponse { $0.throttleTimeMs = 5 })
      }
    ]
    let pair = try Pair(
      ServedApis(
        inner + [
          ServedApi(EnvelopeRequest.self) { envelope, request in
            ServedApis(inner).unpack(envelope, request) { $0 == .deleteTopics }
          }
        ]))
    var output = ByteWriter()
    RequestHeader(apiKey: .deleteTopics, apiVersion: 6, correlationID: 99, clientID: "c")
      .write(to: &output)
    DeleteTopicsRequest().write(to: &output, version: 6)
    var envelope = EnvelopeRequest()
    envelope.requestData = output.array()
    envelope.requestPrincipal = RequestPrincipal(name: "alice").envelopeBytes
    envelope.clientHostAddress = [10, 1, 2, 3]
    let answer = try await pair.ask(envelope, 0...0, policy: .agreed).get()
    #expect(answer.errorCode == 0)
    let data = try #require(answer.responseData)
    let throttle = try data.decoded { (reader) throws(ByteError) in
      let header = try ResponseHeader(from: &reader, version: 1)
      #expect(header.correlationID == 99)
      return try DeleteTopicsResponse(from: &reader, version: 6).throttleTimeMs
    }
    #expect(throttle == 5)
    #expect(seen.withLock { $0 } == ["User:alice", "10.1.2.3"])

    envelope.requestPrincipal = [9]
    let unreadable = try await pair.ask(envelope, 0...0, policy: .agreed).get()
    #expect(unreadable.errorCode == ErrorCode.principalDeserializationFailure.rawValue)
    envelope.requestPrincipal = RequestPrincipal.anonymous.envelopeBytes
    envelope.requestData = [0, 58, 0, 0, 0, 0, 0, 1]
    let nested = try await pair.ask(envelope, 0...0, policy: .agreed).get()
    #expect(nested.errorCode == ErrorCode.invalidRequest.rawValue)
    pair.stop()
  }
}
