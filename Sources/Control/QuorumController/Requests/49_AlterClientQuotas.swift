// AlterClientQuotas (49, versions 0–1) in KRaft mode (KIP-546).
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension AlterClientQuotasRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> AlterClientQuotasResponse {
    .init { $0.entries = entries.map { Self.result($0, refusal) } }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<AlterClientQuotasResponse> {
    var records: [MetadataRecord] = []
    var response = AlterClientQuotasResponse()
    var seen: Set<QuotaEntity> = []
    for entry in entries {
      do throws(Refusal) {
        let entity = try Self.entity(entry)
        guard seen.insert(entity).inserted else {
          throw Refusal(.invalidRequest, "Ignoring duplicate entity \(entity)")
        }
        records += try Self.changes(
          entry, of: entity, machine.pending.image.clientQuotas[entity])
        response.entries.append(Self.result(entry, Refusal(.none)))
      } catch {
        response.entries.append(Self.result(entry, error))
      }
    }
    return .init(validateOnly ? [] : records, response)
  }

  /// What an entry is about.
  /// - Throws: INVALID_REQUEST for entities that cannot have quotas.
  public static func entity(_ entry: EntryData) throws(Refusal) -> QuotaEntity {
    var parts: [String: String?] = [:]
    for part in entry.entity {
      guard parts[part.entityType] == nil else {
        throw Refusal(
          .invalidRequest,
          "Invalid client quota entity, duplicate entity entry \(part.entityType)")
      }
      guard QuotaEntity.types.contains(part.entityType) else {
        throw Refusal(
          .invalidRequest, "Unhandled client quota entity type: \(part.entityType)")
      }
      if part.entityName == "" {
        throw Refusal(
          .invalidRequest, "Empty \(part.entityType) not supported")
      }
      parts[part.entityType] = .some(part.entityName)
    }
    if parts.isEmpty { throw Refusal(.invalidRequest, "Invalid empty client quota entity") }
    if let ip = parts["ip"] {
      if parts.count > 1 {
        throw Refusal(
          .invalidRequest,
          "Invalid quota entity combination, IP entity should not be combined with User or "
            + "ClientId")
      }
      if let ip, !isAddress(ip) {
        throw Refusal(.invalidRequest, "\(ip) is not a valid IP or resolvable host.")
      }
    }
    return QuotaEntity(
      entry.entity.map { QuotaEntity.Part(type: $0.entityType, name: $0.entityName) })
  }

  /// An address, or what could be a host's name: names are not resolved here.
  private static func isAddress(_ text: String) -> Bool {
    text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."), UInt8(ascii: ":"),
        UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }

  /// The records of what an entry changes; only what changes is written.
  ///
  /// - Parameter current: the entity's limits as they are.
  public static func changes(
    _ entry: EntryData, of entity: QuotaEntity, _ current: [String: Double]
  ) throws(Refusal) -> [MetadataRecord] {
    let isIP = entry.entity.contains { $0.entityType == "ip" }
    var records: [MetadataRecord] = []
    var keys: Set<String> = []
    for change in entry.ops {
      guard keys.insert(change.key).inserted else {
        throw Refusal(
          .invalidRequest,
          "Duplicate quota key \(change.key) not updating quota for this entity \(entity)")
      }
      if change.remove {
        guard current[change.key] != nil else { continue }
        records.append(
          .clientQuota(ClientQuotaRecord(entity: entity, key: change.key, value: nil)))
        continue
      }
      try validate(change, isIP: isIP)
      guard current[change.key] != change.value else { continue }
      records.append(
        .clientQuota(ClientQuotaRecord(entity: entity, key: change.key, value: change.value)))
    }
    return records
  }

  private enum Kind { case whole(Double), fraction }

  private static func kind(_ key: String, isIP: Bool) -> Kind? {
    switch key {
    case "connection_creation_rate": isIP ? .whole(Double(Int32.max)) : nil
    case "producer_byte_rate", "consumer_byte_rate": isIP ? nil : .whole(Double(Int64.max))
    case "request_percentage", "controller_mutation_rate": isIP ? nil : .fraction
    default: nil
    }
  }

  private static func validate(_ change: OpData, isIP: Bool) throws(Refusal) {
    guard let kind = kind(change.key, isIP: isIP) else {
      throw Refusal(.invalidRequest, "Invalid configuration key \(change.key)")
    }
    // Not `<= 0`: what is not a number is no limit either.
    guard change.value > 0 else {
      throw Refusal(.invalidRequest, "Quota \(change.key) must be greater than 0")
    }
    guard case .whole(let maximum) = kind else { return }
    if change.value > maximum {
      throw Refusal(
        .invalidRequest,
        "Proposed value for \(change.key) is too large for "
          + (isIP ? "an INT." : "a LONG."))
    }
    if change.value.truncatingRemainder(dividingBy: 1) > 1e-6 {
      throw Refusal(.invalidRequest, "\(change.key) cannot be a fractional value.")
    }
  }

  public static func result(
    _ entry: EntryData, _ refusal: Refusal
  ) -> AlterClientQuotasResponse.EntryData {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
      $0.entity = entry.entity.map { part in
        .init {
          $0.entityType = part.entityType
          $0.entityName = part.entityName
        }
      }
    }
  }
}
