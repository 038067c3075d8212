import Platform

extension TLSSettings {
  /// How Kafka's `zookeeper.ssl.*` keys have a client connect; nil when
  /// `zookeeper.ssl.client.enable` is not true.
  ///
  /// - Parameter value: Gives the value of a key; nil or empty text where it was not given.
  /// - Throws: `TLSError` for what Kafka supports and this client does not.
  public init?(zooKeeperKeys value: (String) -> String?) throws(TLSError) {
    func text(_ key: String) -> String? {
      let text = value(key) ?? ""
      return text.isEmpty ? nil : text
    }
    func list(_ key: String) -> [String] {
      (text(key) ?? "").split(separator: ",").map { String($0.filter { $0 != " " }) }
    }
    func store(_ location: String, _ type: String, _ password: String) -> Store? {
      text(location).map { .file(path: $0, type: text(type) ?? "", password: text(password)) }
    }
    guard text("zookeeper.ssl.client.enable") == "true" else { return nil }
    for key in ["zookeeper.ssl.crl.enable", "zookeeper.ssl.ocsp.enable"] where text(key) == "true" {
      throw TLSError("\(key): revocation is not asked for")
    }
    self.init()
    keyStore = store(
      "zookeeper.ssl.keystore.location", "zookeeper.ssl.keystore.type",
      "zookeeper.ssl.keystore.password")
    trustStore = store(
      "zookeeper.ssl.truststore.location", "zookeeper.ssl.truststore.type",
      "zookeeper.ssl.truststore.password")
    protocols = list("zookeeper.ssl.enabled.protocols")
    if protocols.isEmpty, let name = text("zookeeper.ssl.protocol"), name != "TLS" {
      protocols = [name]
    }
    cipherSuites = list("zookeeper.ssl.cipher.suites")
    // Given and empty, as Kafka has it: certificates are not compared with names.
    let algorithm = value("zookeeper.ssl.endpoint.identification.algorithm") ?? "HTTPS"
    verifiesServerName = algorithm.uppercased() == "HTTPS"
  }
}
