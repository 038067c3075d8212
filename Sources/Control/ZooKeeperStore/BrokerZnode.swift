// Registrations of brokers.
import Metadata
import Values

/// `/brokers/ids/N`: a broker's ephemeral registration.
///
/// Its czxid is the broker's epoch. Version 5 has features (from 2.7-IV0 on), version 4 has not;
/// `host` and `port` repeat the first PLAINTEXT endpoint for clients of the time before listeners.
public enum BrokerZnode {
  public static func encode(
    _ broker: BrokerImage, version: Int64, jmxPort: Int32, at time: WallTime
  ) -> [UInt8] {
    // Clients from before listeners read `host` and `port`; they could not speak anything but
    // PLAINTEXT.
    let plain = broker.endpoints.first { $0.securityProtocol == .plaintext }
    var fields: [JSON.Field] = []
    if version >= 5 {
      fields.append(
        .init(
          "features",
          .object(
            broker.features.map { feature in
              .init(
                feature.name,
                .object([
                  .init("min_version", .integer(Int64(feature.minimum))),
                  .init("max_version", .integer(Int64(feature.maximum))),
                ]))
            })))
    }
    fields.append(
      .init(
        "listener_security_protocol_map",
        .object(
          broker.endpoints.map {
            .init($0.listener, .string($0.securityProtocol.name))
          })))
    fields.append(.init("endpoints", .array(broker.endpoints.map { .string($0.connectionString) })))
    if let rack = broker.rack { fields.append(.init("rack", .string(rack))) }
    fields.append(.init("jmx_port", .integer(Int64(jmxPort))))
    fields.append(.init("port", .integer(plain.map { Int64($0.port) } ?? -1)))
    fields.append(.init("host", plain.map { .string($0.host) } ?? .null))
    fields.append(.init("version", .integer(version)))
    fields.append(.init("timestamp", .string(String(time.milliseconds))))
    return JSON.object(fields).bytes
  }

  /// Nil if the data is not a registration of any version since listeners came (2…5) or before (1).
  public static func decode(_ id: BrokerID, _ data: [UInt8], epoch: BrokerEpoch) -> BrokerImage? {
    guard let json = try? JSON(parsing: data), let version = json["version"]?.int64, version >= 1
    else { return nil }
    var broker = BrokerImage(id: id, epoch: epoch)
    broker.rack = json["rack"]?.string
    if version == 1 {
      guard let host = json["host"]?.string, let port = json["port"]?.int32,
        let port = UInt16(exactly: port)
      else { return nil }
      broker.endpoints = [
        Endpoint(listener: "PLAINTEXT", host: host, port: port, securityProtocol: .plaintext)
      ]
      return broker
    }
    // Version 2 and 3 have no map: a listener's name was its protocol then.
    guard let texts = json["endpoints"]?.array else { return nil }
    let protocols = json["listener_security_protocol_map"]
    for text in texts {
      guard let text = text.string, let endpoint = endpoint(text, protocols) else { return nil }
      broker.endpoints.append(endpoint)
    }
    for field in json["features"]?.fields ?? [] {
      guard let minimum = field.value["min_version"]?.int32,
        let maximum = field.value["max_version"]?.int32
      else { continue }
      broker.features.append(
        SupportedFeature(
          name: field.name, minimum: Int16(clamping: minimum), maximum: Int16(clamping: maximum)))
    }
    return broker
  }

  /// `LISTENER://host:port`; the protocol is the listener's in the map, else that of its name.
  private static func endpoint(_ text: String, _ protocols: JSON?) -> Endpoint? {
    let bytes = Array(text.utf8)
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
      bytes.dropFirst(colon).starts(with: "://".utf8),
      let last = bytes.lastIndex(of: UInt8(ascii: ":")), last > colon + 2,
      let port = UInt16(String(decoding: bytes[(last + 1)...], as: UTF8.self))
    else { return nil }
    let listener = String(decoding: bytes[..<colon], as: UTF8.self)
    var host = bytes[(colon + 3)..<last]
    if host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") {
      host = host.dropFirst().dropLast()
    }
    let name = protocols?[listener]?.string ?? listener
    guard let securityProtocol = SecurityProtocol(name: name) else { return nil }
    return Endpoint(
      listener: listener, host: String(decoding: host, as: UTF8.self), port: port,
      securityProtocol: securityProtocol)
  }
}
