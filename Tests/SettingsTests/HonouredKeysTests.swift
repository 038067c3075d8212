import Foundation
import Settings
import TestKit
import Testing

/// A key that is called honoured is read, and what is read of it is used: a setting that nobody
/// looks at must say so in its warning.
@Suite struct HonouredKeysTests {
  /// Keys that are made use of where they are read, or under other names.
  private static let readInPlace: Set<String> = [
    // Checked while the configuration is read.
    "broker.id.generation.enable",
    // Turned into what it means while it is read: bounds before and after, two policies.
    "message.timestamp.difference.max.ms", "cleanup.policy", "inter.broker.listener.name",
  ]

  private struct Text {
    /// The settings module without its tables of keys.
    var settings = ""
    /// Of everything else: what stands between quotation marks, and every name behind a dot.
    var quoted: Set<String> = []
    var members: Set<String> = []
  }

  private static let text: Text = {
    var text = Text()
    var others = ""
    let folder = Fixtures.checkout.appending(path: "Sources")
    let walker = FileManager.default.enumerator(atPath: folder.path)
    while let entry = walker?.nextObject() as? String {
      guard entry.hasSuffix(".swift"), !entry.contains("/Generated/") else { continue }
      let file = (try? String(contentsOf: folder.appending(path: entry), encoding: .utf8)) ?? ""
      if entry.hasPrefix("Settings/BrokerKeys") || entry.hasPrefix("Settings/TopicKeys") {
        continue
      }
      if entry.hasPrefix("Settings/") { text.settings += file } else { others += file }
    }
    text.quoted = Set(others.components(separatedBy: "\""))
    for part in others.components(separatedBy: ".").dropFirst() {
      let name = part.utf8.prefix { $0 == 0x5f || $0 >= 0x30 && $0 <= 0x39 || $0 >= 0x41 }
      text.members.insert(String(decoding: name, as: UTF8.self))
    }
    return text
  }()

  /// The properties that the settings module fills from a key: `name = … "key" …`.
  private func properties(of key: String) -> [String] {
    let parts = Self.text.settings.components(separatedBy: "\"\(key)\"")
    return parts.dropLast().compactMap { part in
      let head = part.suffix(200)
      guard let equals = head.range(of: " = ", options: .backwards) else { return nil }
      let name = head[..<equals.lowerBound].reversed().prefix { $0.isLetter || $0.isNumber }
      return String(name.reversed())
    }
  }

  private func isUsed(_ key: String) -> Bool {
    if Self.readInPlace.contains(key) || Self.text.quoted.contains(key) { return true }
    return properties(of: key).contains { Self.text.members.contains($0) }
  }

  @Test func `every honoured broker key is used`() {
    // The defaults of topics' settings are read by the topics' names for them.
    var topicKeys: [String: String] = [:]
    for key in ConfigTable.topic.keys {
      for synonym in ConfigTable.brokerSynonyms(ofTopicKey: key.name) {
        topicKeys[synonym.name] = key.name
      }
    }
    for key in ConfigTable.broker.keys where key.status == .honoured {
      let isUsed = isUsed(key.name) || topicKeys[key.name].map { self.isUsed($0) } == true
      #expect(isUsed, "\(key.name) is called honoured, and nothing uses it")
    }
  }

  @Test func `every honoured topic key is used`() {
    for key in ConfigTable.topic.keys where key.status == .honoured {
      let isUsed = isUsed(key.name)
      #expect(isUsed, "\(key.name) is called honoured, and nothing uses it")
    }
  }

  @Test func `what is not honoured is warned about or refused by name`() {
    for key in ConfigTable.broker.keys {
      guard case .withoutEffect(let reason) = key.status else { continue }
      #expect(!reason.isEmpty, "\(key.name) has no reason")
      let other: String
      switch (key.type, key.defaultValue) {
      case (.boolean, .boolean(let value)): other = "\(!value)"
      case (.int, .integer(let value)), (.long, .integer(let value)): other = "\(value ^ 1)"
      default: continue
      }
      var sources = SettingSources()
      sources.set("broker.id", "1", .override)
      sources.set("zookeeper.connect", "nowhere:1", .override)
      sources.set(key.name, other, .override)
      guard let config = try? BrokerConfig(sources) else { continue }
      #expect(
        config.warnings.contains { $0.contains(key.name) }, "\(key.name) is ignored in silence")
    }
  }
}
