import Foundation
import Settings
import TestKit
import Testing

@Suite struct ConfigTableTests {
  /// Rows of a reference CSV by column name; quoted fields may hold commas.
  func rows(_ name: String) throws -> [[String: String]] {
    let url = Fixtures.reference.appending(path: "kafka-3.9/\(name)")
    let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
    func fields(_ line: Substring) -> [String] {
      var fields = [""]
      var isQuoted = false
      for character in line {
        if character == "\"" {
          isQuoted.toggle()
        } else if character == ",", !isQuoted {
          fields.append("")
        } else {
          fields[fields.count - 1].append(character)
        }
      }
      return fields
    }
    let names = fields(lines[0])
    return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(names, fields($0))) }
  }

  func check(_ key: ConfigKey?, _ row: [String: String], update: Bool) {
    let name = row["name"] ?? "?"
    guard let key else {
      Issue.record("\(name) is missing")
      return
    }
    let types: [String: ConfigType] = [
      "BOOLEAN": .boolean, "STRING": .string, "INT": .int, "SHORT": .short, "LONG": .long,
      "DOUBLE": .double, "LIST": .list, "CLASS": .classname, "PASSWORD": .password,
    ]
    #expect(types[row["type"] ?? ""] == key.type, "\(name)")
    var value = row["default"] ?? ""
    if key.type == .list, value != "null" {
      value = String(value.dropFirst(value.hasPrefix("[") ? 1 : 0))
      value = String(value.dropLast(value.hasSuffix("]") ? 1 : 0))
      value = value.replacing(", ", with: ",")
    }
    #expect(key.defaultValue.nullableText == (value == "null" ? nil : value), "\(name)")
    #expect(key.importance.rawValue == row["importance"]?.lowercased(), "\(name)")
    // Kafka's own default of these lists is empty although they must not be set to an empty one.
    if key.defaultValue != .list([]) {
      #expect(key.validity.accepts(key.defaultValue), "\(name)")
    }
    #expect(!key.documentation.isEmpty, "\(name)")
    if update {
      let modes: [String: ConfigUpdateMode] = [
        "read-only": .fixed, "per-broker": .broker, "cluster-wide": .cluster,
      ]
      #expect(modes[row["update"] ?? ""] == key.update, "\(name)")
    }
  }

  @Test func everyBrokerKeyIsKnown() throws {
    let rows = try rows("broker-configs.csv")
    #expect(rows.count > 300)
    for row in rows { check(ConfigTable.broker[row["name"] ?? ""], row, update: true) }
  }

  @Test func everyTopicKeyIsKnown() throws {
    let rows = try rows("topic-configs.csv")
    #expect(rows.count == 36 && ConfigTable.topic.keys.count == 36)
    for row in rows { check(ConfigTable.topic[row["name"] ?? ""], row, update: false) }
  }

  @Test func synonymsExist() {
    for key in ConfigTable.topic.keys {
      for (name, _) in ConfigTable.brokerSynonyms(ofTopicKey: key.name) {
        #expect(ConfigTable.broker[name] != nil, "\(name)")
      }
    }
  }

  @Test func valuesPrintAsKafkaPrintsThem() {
    #expect(ConfigValue(parsing: " TRUE ", as: .boolean)?.description == "true")
    #expect(ConfigValue(parsing: "007", as: .int)?.description == "7")
    #expect(ConfigValue(parsing: "2147483648", as: .int) == nil)
    #expect(ConfigValue(parsing: "40000", as: .short) == nil)
    #expect(ConfigValue(parsing: "a , b,c", as: .list)?.description == "a,b,c")
    #expect(
      ConfigValue(parsing: "1.7976931348623157E308", as: .double)?.description
        == "1.7976931348623157E308")
    #expect(ConfigValue(parsing: "12345678.5", as: .double)?.description == "1.23456785E7")
    #expect(ConfigValue(parsing: "10000000", as: .double)?.description == "1.0E7")
    #expect(ConfigValue(parsing: "0.00001", as: .double)?.description == "1.0E-5")
  }

  @Test func versions() {
    #expect(MetadataVersion("3.9")?.description == "3.9-IV0")
    #expect(MetadataVersion("3.9.1")?.description == "3.9-IV0")
    #expect(MetadataVersion("2.6")?.description == "2.6-IV0")
    #expect(MetadataVersion("0.10.1")?.description == "0.10.1-IV2")
    #expect(MetadataVersion("3.7-IV2")?.featureLevel == 17)
    #expect(MetadataVersion("3.0-IV1")?.featureLevel == 1)
    #expect(MetadataVersion(featureLevel: 21) == .latest)
    #expect(MetadataVersion(featureLevel: 22) == nil)
    #expect(MetadataVersion("3.0-IV0")?.featureLevel == nil)
    #expect(MetadataVersion("4.0") == nil && MetadataVersion("") == nil)
    #expect(MetadataVersion.v2_1 < MetadataVersion.v2_8)
  }

  @Test func incrementalAlterations() throws {
    var settings: [String: String] = [:]
    let table = ConfigTable.topic
    try table.apply(.append, key: "cleanup.policy", value: "compact", to: &settings)
    #expect(settings["cleanup.policy"] == "delete,compact")
    try table.apply(.subtract, key: "cleanup.policy", value: "delete", to: &settings)
    #expect(settings["cleanup.policy"] == "compact")
    try table.apply(.set, key: "retention.ms", value: "5", to: &settings)
    try table.apply(.delete, key: "retention.ms", value: nil, to: &settings)
    #expect(settings["retention.ms"] == nil)
    #expect(throws: SettingsError.self) {
      try table.apply(.append, key: "retention.ms", value: "5", to: &settings)
    }
    #expect(throws: SettingsError.self) {
      try table.apply(.set, key: "nonsense", value: "5", to: &settings)
    }
  }
}
