// Limits of quotas, as requests meet them.

import ZooKeeperProtocol

extension RequestPreparer {
  /// Refuses what would pass a hard limit of the path's quota, and notes soft limits that are
  /// passed. Like ZooKeeper it looks at what is committed: requests in flight do not count yet.
  ///
  /// - Parameters:
  ///   - bytes: By how much the data grow.
  ///   - znodes: By how many znodes the tree grows.
  /// - Throws: `quotaExceeded`.
  mutating func checkQuota(
    of path: String, bytes: Int, znodes: Int64, over database: borrowing Database
  ) throws(ZooKeeperError) {
    guard rules.enforcesQuota, let target = database.tree.quotaPath(above: path),
      let limitIndex = database.tree.find(QuotaPath.limits(of: target)),
      let statIndex = database.tree.find(QuotaPath.stats(of: target))
    else { return }
    let limits = QuotaRecord(database.tree.data(of: limitIndex))
    let stats = QuotaRecord(database.tree.data(of: statIndex))
    if znodes != 0 {
      try check(
        stats.count &+ znodes, soft: limits.count, hard: limits.countHardLimit, of: target)
    }
    if bytes != 0 {
      try check(
        stats.bytes &+ Int64(bytes), soft: limits.bytes, hard: limits.byteHardLimit, of: target)
    }
  }

  /// A hard limit takes the place of a soft one.
  private mutating func check(
    _ value: Int64, soft: Int64, hard: Int64, of target: String
  ) throws(ZooKeeperError) {
    if hard > -1 {
      guard value > hard else { return }
      refusedQuotas.append(target)
      throw .quotaExceeded
    } else if soft > -1, value > soft, !exceededQuotas.contains(target) {
      exceededQuotas.append(target)
    }
  }
}
