import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings

/// The part of `jackdaw configs` that is about users, clients and addresses: their quotas
/// (KIP-546).
struct QuotaConfigs {
  /// A type of entity in the protocol's words, and how the tool writes it.
  private struct Kind {
    let type: String
    /// As `--entity-type` takes it.
    let plural: String
    let flag: String
    /// As a description begins.
    let title: String
  }

  private static let kinds = [
    Kind(type: "user", plural: "users", flag: "--user", title: "user-principal"),
    Kind(type: "client-id", plural: "clients", flag: "--client", title: "client-id"),
    Kind(type: "ip", plural: "ips", flag: "--ip", title: "ip"),
  ]

  static let flags: [Flag] = kinds.flatMap { kind in
    [
      Flag.value(
        kind.flag, "NAME", "Short for --entity-type \(kind.plural) --entity-name NAME."),
      Flag.toggle(
        "\(kind.flag)-defaults", "Short for --entity-type \(kind.plural) --entity-default."),
    ]
  }

  /// One part of an entity; for a description the name may be left open.
  private struct Part {
    enum Name: Equatable {
      case any
      case byDefault
      case exactly(String)
    }
    let kind: Kind
    let name: Name
  }

  private let parts: [Part]

  /// Nil when the command line is about something else.
  init?(_ line: ParsedCommandLine) throws(SettingsError) {
    var found: [Part] = []
    for kind in Self.kinds {
      if let name = line.value(kind.flag) {
        found.append(Part(kind: kind, name: .exactly(name)))
      }
      if line.has("\(kind.flag)-defaults") {
        found.append(Part(kind: kind, name: .byDefault))
      }
    }
    let types = line.all("--entity-type")
    if types.contains(where: { type in Self.kinds.contains { $0.plural == type } }) {
      found += try Self.typed(types, line)
    }
    if found.isEmpty { return nil }
    guard Set(found.map(\.kind.type)).count == found.count else {
      throw SettingsError("each type of entity can be given once")
    }
    if found.count > 1, found.contains(where: { $0.kind.type == "ip" }) {
      throw SettingsError("ips cannot be combined with users or clients")
    }
    parts = found
  }

  /// Types with their names, which are paired in their order.
  private static func typed(
    _ types: [String], _ line: ParsedCommandLine
  ) throws(SettingsError) -> [Part] {
    let names = line.all("--entity-name")
    let defaults = line.all("--entity-default").count
    let isOpen = names.isEmpty && defaults == 0
    guard isOpen || names.count + defaults == types.count else {
      throw SettingsError("each --entity-type needs a name or --entity-default, or none does")
    }
    guard names.isEmpty || defaults == 0 else {
      throw SettingsError("names and defaults together are given as --user and --client-defaults")
    }
    var parts: [Part] = []
    for (place, type) in types.enumerated() {
      guard let kind = kinds.first(where: { $0.plural == type }) else {
        throw SettingsError(
          "only users and clients can be combined", key: "--entity-type", value: type)
      }
      let name: Part.Name =
        isOpen ? .any : names.isEmpty ? .byDefault : .exactly(names[place])
      parts.append(Part(kind: kind, name: name))
    }
    return parts
  }

  // MARK: Describe

  func describe(_ session: AdminSession, _ console: Console) async throws {
    let request = DescribeClientQuotasRequest {
      // A user's own quota is not that of the user with some client.
      $0.strict = true
      $0.components = parts.map { part in
        .init {
          $0.entityType = part.kind.type
          switch part.name {
          case .exactly(let name): ($0.matchType, $0.match) = (0, name)
          case .byDefault: ($0.matchType, $0.match) = (1, nil)
          case .any: ($0.matchType, $0.match) = (2, nil)
          }
        }
      }
    }
    for entry in try await session.admin.describeQuotas(request) {
      let entity = Self.kinds.compactMap { kind in
        entry.entity.first { $0.entityType == kind.type }.map { part in
          part.entityName.map { "\(kind.title) '\($0)'" } ?? "the default \(kind.title)"
        }
      }
      let values = entry.values.map { "\($0.key)=\($0.value)" }
      console.line(
        "Quota configs for \(entity.joined(separator: ", ")) are "
          + values.joined(separator: ", "))
    }
    // Credentials are users' alone: not those of a client, nor of the default user.
    guard parts.count == 1, let part = parts.first, part.kind.type == "user",
      part.name != .byDefault, try await session.isScramKnown()
    else { return }
    try await ScramConfigs.describe(oneUser, session, console)
  }

  /// The one user that is named; nil for anything else.
  private var oneUser: String? {
    guard parts.count == 1, let part = parts.first, part.kind.type == "user",
      case .exactly(let name) = part.name
    else { return nil }
    return name
  }

  // MARK: Alter

  func alter(
    adding: [(String, String)], deleting: [String], _ session: AdminSession, _ console: Console
  ) async throws {
    guard !parts.contains(where: { $0.name == .any }) else {
      throw SettingsError("--alter needs --entity-name or --entity-default")
    }
    if adding.contains(where: { ScramConfigs.isScram($0.0) })
      || deleting.contains(where: ScramConfigs.isScram)
    {
      try await ScramConfigs(adding: adding, deleting: deleting, user: oneUser).alter(session)
      return console.line("Completed updating \(title).")
    }
    typealias Op = AlterClientQuotasRequest.OpData
    var changes: [Op] = []
    for (key, text) in adding {
      guard let value = Double(text) else {
        throw SettingsError("must be a number", key: "--add-config", value: "\(key)=\(text)")
      }
      changes.append(
        Op {
          $0.key = key
          $0.value = value
        })
    }
    changes += deleting.map { key in
      Op {
        $0.key = key
        $0.remove = true
      }
    }
    guard !changes.isEmpty else {
      throw SettingsError("--alter needs --add-config, --add-config-file or --delete-config")
    }
    let request = AlterClientQuotasRequest {
      $0.entries = [
        .init {
          $0.ops = changes
          $0.entity = parts.map { part in
            .init {
              $0.entityType = part.kind.type
              if case .exactly(let name) = part.name {
                $0.entityName = name
              } else {
                $0.entityName = nil
              }
            }
          }
        }
      ]
    }
    for entry in try await session.admin.alterQuotas(request) {
      try ErrorCode.check(entry.errorCode, entry.errorMessage, title)
    }
    console.line("Completed updating \(title).")
  }

  private var title: String {
    guard let first = parts.first else { return "config" }
    if case .exactly(let name) = first.name {
      return "config for \(first.kind.plural.dropLast()) \(name)"
    }
    return "default config for \(first.kind.plural) in the cluster"
  }
}
