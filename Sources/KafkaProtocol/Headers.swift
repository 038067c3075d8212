// Request and response headers; `Schemas/headers.kafka` has their fields.

import Bytes

/// What precedes a request in its frame.
public struct RequestHeader: Hashable, Sendable {
  /// As read: it may name an API that is not known.
  public var apiKey: Int16
  public var apiVersion: Int16
  public var correlationID: Int32
  public var clientID: String?

  public init(apiKey: ApiKey, apiVersion: Int16, correlationID: Int32, clientID: String?) {
    self.apiKey = apiKey.rawValue
    self.apiVersion = apiVersion
    self.correlationID = correlationID
    self.clientID = clientID
  }

  public var api: ApiKey? { ApiKey(rawValue: apiKey) }

  /// Reads a header of whichever version its API calls for. An unknown API is read as version 1,
  /// and a newer version of a known one as that API's latest header, so that it can be refused by
  /// name: the answer needs the correlation id only.
  ///
  /// - Parameter lastClientID: what the same connection's last request said; not made again when it
  ///   says the same.
  public init(
    from reader: inout ByteReader, lastClientID: String? = nil
  ) throws(ByteError) {
    apiKey = try reader.readInt16()
    apiVersion = try reader.readInt16()
    correlationID = try reader.readInt32()
    let version: Int16 = ApiKey(rawValue: apiKey)?.requestHeaderVersion(apiVersion) ?? 1
    // The client id keeps its plain form in version 2.
    clientID =
      version >= 1
      ? try reader.readNullableString(compact: false, expecting: lastClientID) : nil
    if version >= 2 { try reader.skipTaggedFields() }
  }

  /// Writes the header in the version that the API and its version call for.
  public func write(to writer: inout ByteWriter) {
    writer.writeInt16(apiKey)
    writer.writeInt16(apiVersion)
    writer.writeInt32(correlationID)
    let version: Int16 = api?.requestHeaderVersion(apiVersion) ?? 1
    if version >= 1 { writer.writeNullableString(clientID, compact: false) }
    if version >= 2 { writer.writeUInt8(0) }
  }
}

/// What precedes a response in its frame.
public struct ResponseHeader: Hashable, Sendable {
  public var correlationID: Int32

  @inlinable public init(correlationID: Int32) { self.correlationID = correlationID }

  /// - Parameter version: of the header, from `ApiKey.responseHeaderVersion`.
  public init(from reader: inout ByteReader, version: Int16) throws(ByteError) {
    correlationID = try reader.readInt32()
    if version >= 1 { try reader.skipTaggedFields() }
  }

  /// - Parameter version: of the header, from `ApiKey.responseHeaderVersion`.
  @inlinable public func write(to writer: inout ByteWriter, version: Int16) {
    writer.writeInt32(correlationID)
    if version >= 1 { writer.writeUInt8(0) }
  }
}
