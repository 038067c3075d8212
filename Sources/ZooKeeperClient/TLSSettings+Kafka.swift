import Platform

extension TLSSettings {
  /// How Kafka's `zookeeper.ssl.*` keys have a client connect; nil when `zookeeper.ssl.client.enable`
  /// is not true.
  ///
  /// - Parameter value: Gives the value of a key; nil or empty text where it was not given.
  /// - Throws: `TLSError` for what Kafka supports and this client does not.
  public init?(zooKeeperKeys value: (String) -> String?) throws(TLSError) {
    func text(_ key: String) -> String? {
      let text = value("zookeeper.ssl." + key) ?? ""
      return text.isEmpty ? nil : text
    }
    func list(_ key: String) -> [String] {
      (text(key) ?? "").split(separator: ",").map { String($0.filter { $0 != " " }) }
    }
    func store(_ name: String) -> Store? {
      text(name + ".location").map {
        .file(path: $0, type: text(name + ".type") ?? "", password: text(name + ".password"))
      }
    }
    guard text("client.enable") == "true" else { return nil }
    for key in ["crl.enable", "ocsp.enable"] where text(key) == "true" {
      throw TLSError("zookeeper.ssl.\(key): revocation is not asked for")
    }
    self.init()
    keyStore = store("keystore")
    trustStore = store("truststore")
    protocols = list("enabled.protocols")
    if protocols.isEmpty, let name = text("protocol"), name != "TLS" { protocols = [name] }
    cipherSuites = list("cipher.suites")
    // Given and empty, as Kafka has it: certificates are not compared with names.
    let algorithm = value("zookeeper.ssl.endpoint.identification.algorithm") ?? "HTTPS"
    verifiesServerName = algorithm.uppercased() == "HTTPS"
  }
}
