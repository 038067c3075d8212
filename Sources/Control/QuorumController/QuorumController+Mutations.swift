// The quota of partitions that a client creates and deletes (KIP-599).
import KafkaProtocol
import Metadata
import Quotas
import Values

extension QuorumController {
  /// Begins to count a request's mutations.
  ///
  /// - Parameter strictSince: from this version of the API on clients know
  ///   THROTTLING_QUOTA_EXCEEDED; older ones are only slowed.
  func openCharge(_ context: RequestContext, strictSince: Int16) -> MutationCharge {
    mutations.open(
      pending.image.clientQuotas, user: context.principal.name, clientID: context.clientID,
      isStrict: context.version >= strictSince)
  }

  /// Counts the partitions of one topic, when nothing else stands against it.
  ///
  /// - Throws: THROTTLING_QUOTA_EXCEEDED; the topic is left alone.
  mutating func charge(_ partitions: Int, _ charge: inout MutationCharge) throws(Refusal) {
    guard mutations.charge(partitions, &charge, at: now) else {
      throw Refusal(
        .throttlingQuotaExceeded, "The throttling quota has been exceeded.")
    }
  }
}
