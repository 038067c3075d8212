import KafkaMessages
import KafkaProtocol

/// What a peer said it serves, from its ApiVersions response.
public struct PeerVersions: Sendable {
  private var ranges: [Int16: ClosedRange<Int16>] = [:]

  public init(_ response: ApiVersionsResponse) {
    for entry in response.apiKeys where entry.minVersion <= entry.maxVersion {
      ranges[entry.apiKey] = entry.minVersion...entry.maxVersion
    }
  }

  /// The versions of an API that the peer serves; nil when it does not serve it at all.
  public subscript(api: ApiKey) -> ClosedRange<Int16>? { ranges[api.rawValue] }

  /// The highest version that both sides know; nil when there is none.
  public func best(_ api: ApiKey, within own: ClosedRange<Int16>) -> Int16? {
    guard let theirs = self[api] else { return nil }
    let version = min(own.upperBound, theirs.upperBound)
    return version >= max(own.lowerBound, theirs.lowerBound) ? version : nil
  }
}
