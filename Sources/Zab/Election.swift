import Values
import ZooKeeperProtocol

// Fast leader election, as a machine.
//
//   looking --- a quorum votes alike, nothing better comes for finalizeWait --> leading|following
//           --- a quorum votes alike, and so do all that are not gone --------> leading|following
//           --- a quorum follows a leader that says it leads -----------------> following
//   leading | following --- begin(...) ---------------------------------------> looking
//
// Every server starts a round by voting for itself and adopts any better vote it hears. Servers
// that have decided answer those that look, so that a latecomer finds the running ensemble. Whoever
// finds itself elected says so at once: the others need not wait out the round by themselves, and
// none of them connects before it listens. The election only has to be live: safety rests on the
// epochs that a leader agrees with a quorum.

/// One server's part in electing a leader.
public struct Election: Sendable {
  /// What the election asks of its owner.
  public enum Effect: Hashable, Sendable {
    case notify(Notification, to: ServerID)
    /// The round is over; the state is already that of the role.
    case elected(leader: ServerID)
  }

  let own: ServerID
  var membership: Membership
  let timing: EnsembleTiming

  public private(set) var state: PeerState = .looking
  /// The number of the round; rises with every election this server takes part in.
  public private(set) var logicalClock: Int64 = 0
  /// The vote: while looking what this server proposes, afterwards what was decided.
  public private(set) var vote: Vote
  /// What this server would vote for if it knew nobody else.
  private var initialVote: Vote
  /// Ballots of this round by their senders, our own left out.
  private var ballots: [ServerID: Notification] = [:]
  /// Ballots of servers that lead or follow, of whatever round.
  private var settled: [ServerID: Notification] = [:]
  /// Servers that were known to run and cannot be voting now: nobody waits for a word of theirs.
  private var gone: Set<ServerID> = []
  /// Servers that were told in this round that our vote is better than theirs.
  private var corrected: Set<ServerID> = []
  private var intervalMs: Int64
  private var resendAt: Instant = .distantFuture
  private var finalizeAt: Instant?
  private var isRetired = false
  /// Looks for nobody until the next round begins.
  private var isPaused = false

  public init(own: ServerID, membership: Membership, timing: EnsembleTiming) {
    self.own = own
    self.membership = membership
    self.timing = timing
    initialVote = Vote(leader: own, zxid: .lowest, electionEpoch: 0, peerEpoch: .min)
    vote = initialVote
    intervalMs = timing.minNotificationIntervalMs
  }

  private var ensemble: Ensemble { membership.ensemble }
  var membershipVersions: Membership.Versions { membership.versions }

  /// When `timer` wants to be called.
  public var nextDeadline: Instant {
    state == .looking ? min(resendAt, finalizeAt ?? .distantFuture) : .distantFuture
  }

  /// Starts a round. `zxid` is the last transaction in the log, `peerEpoch` the `currentEpoch`.
  public mutating func begin(
    zxid: Zxid, peerEpoch: Int64, at now: Instant, into effects: inout [Effect]
  ) {
    state = .looking
    isPaused = false
    // Wrapping: the number comes from the network, and a hostile one must not end the server.
    logicalClock &+= 1
    // An observer must not propose itself, so that it adopts whatever the voters say.
    initialVote =
      ensemble.isVoter(own)
      ? Vote(leader: own, zxid: zxid, electionEpoch: logicalClock, peerEpoch: peerEpoch)
      : Vote(
        leader: ServerID(.min), zxid: .lowest, electionEpoch: logicalClock, peerEpoch: .min)
    vote = initialVote
    ballots = [:]
    settled = [:]
    gone = []
    corrected = []
    intervalMs = timing.minNotificationIntervalMs
    notifyAll(at: now, into: &effects)
    count(at: now, into: &effects)
  }

  /// Decides without a round: a reconfiguration has named the leader, and tells all others too.
  mutating func appoint(_ leader: ServerID, zxid: Zxid, into effects: inout [Effect]) {
    var appointment = vote
    appointment.leader = leader
    appointment.zxid = zxid
    decide(appointment, into: &effects)
  }

  /// Follows nobody any more, and takes no part until `begin`.
  mutating func pause() {
    state = .looking
    finalizeAt = nil
    resendAt = .distantFuture
    isPaused = true
  }

  /// Takes no part any more, and asks for nothing.
  mutating func retire() {
    state = .looking
    finalizeAt = nil
    resendAt = .distantFuture
    isRetired = true
  }

  /// A link to a server has come up: what was said before may not have reached it.
  public mutating func linkUp(_ peer: ServerID, into effects: inout [Effect]) {
    gone.remove(peer)
    guard state == .looking, !isRetired, !isPaused else { return }
    effects.append(.notify(own(as: .looking), to: peer))
  }

  /// A server that could be talked to before refuses connections: its process has ended. Believing
  /// it wrongly costs no more than a vote that comes too late.
  public mutating func refused(_ peer: ServerID, at now: Instant, into effects: inout [Effect]) {
    guard state == .looking, !isRetired, !isPaused else { return }
    gone.insert(peer)
    count(at: now, into: &effects)
  }

  /// The epoch of the established leader, for the answers to those that still look.
  public mutating func established(epoch: Int64) { vote.peerEpoch = epoch }

  public mutating func timer(at now: Instant, into effects: inout [Effect]) {
    guard state == .looking else { return }
    if let finalizeAt, now >= finalizeAt { return decide(vote, into: &effects) }
    guard now >= resendAt else { return }
    intervalMs = min(intervalMs * 2, timing.maxNotificationIntervalMs)
    notifyAll(at: now, into: &effects)
  }

  public mutating func received(
    _ notification: Notification, from sender: ServerID, at now: Instant,
    into effects: inout [Effect]
  ) {
    guard !isRetired, !isPaused else { return }
    guard membership.isVoter(sender) else {
      // An observer asks; its own vote does not matter. Only a question is answered, and only by a
      // voter: two servers that take each other for observers would talk without end.
      if notification.state == .looking, membership.isVoter(own) {
        effects.append(.notify(own(as: state), to: sender))
      }
      return
    }
    gone.remove(sender)
    guard state == .looking else {
      if notification.state == .looking {
        effects.append(.notify(own(as: state), to: sender))
      }
      return
    }
    guard membership.isVoter(notification.vote.leader) else { return }
    switch notification.state {
    case .looking: heardLooking(notification, from: sender, at: now, into: &effects)
    case .following, .leading: heardSettled(notification, from: sender, into: &effects)
    case .observing: break
    }
  }

  // MARK: Counting

  private mutating func heardLooking(
    _ notification: Notification, from sender: ServerID, at now: Instant,
    into effects: inout [Effect]
  ) {
    let theirs = notification.vote
    settled[sender] = nil  // whomever it followed, it does no more
    if theirs.electionEpoch < logicalClock {
      // Somebody behind: tell it the round, its vote does not count in ours.
      effects.append(.notify(own(as: .looking), to: sender))
      return
    }
    if theirs.electionEpoch > logicalClock {
      logicalClock = theirs.electionEpoch
      initialVote.electionEpoch = logicalClock
      ballots = [:]
      corrected = []
      vote = theirs.outranks(initialVote, in: ensemble) ? theirs : initialVote
      notifyAll(at: now, into: &effects)
    } else if theirs.outranks(vote, in: ensemble) {
      vote = theirs
      notifyAll(at: now, into: &effects)
    } else if vote.outranks(theirs, in: ensemble), corrected.insert(sender).inserted {
      // It was not looking yet when we said so, and would not hear of it before we say so again.
      // Once: two that know of different weights would correct each other without end.
      effects.append(.notify(own(as: .looking), to: sender))
    }
    ballots[sender] = notification
    count(at: now, into: &effects)
  }

  private mutating func count(at now: Instant, into effects: inout [Effect]) {
    let ours = own(as: .looking)
    let supports = { [ballots, own] (voter: ServerID) in
      voter == own || ballots[voter]?.agrees(with: ours) == true
    }
    guard ensemble.isVoter(vote.leader), membership.isQuorum(where: supports) else {
      finalizeAt = nil
      return
    }
    // When all agree who are there, no better vote can come.
    let agree = membership.voters.allSatisfy { supports($0) || gone.contains($0) }
    if agree, !gone.contains(vote.leader) { return decide(vote, into: &effects) }
    if finalizeAt == nil { finalizeAt = now.advanced(milliseconds: timing.finalizeWaitMs) }
  }

  private mutating func heardSettled(
    _ notification: Notification, from sender: ServerID, into effects: inout [Effect]
  ) {
    let leader = notification.vote.leader
    let epoch = notification.vote.electionEpoch
    if epoch == logicalClock {
      ballots[sender] = notification
      if supportsLeader(notification, among: ballots), leads(leader, epoch, among: ballots) {
        return decide(notification.vote, into: &effects)
      }
    }
    settled[sender] = notification
    // A configuration that only we have heard of was perhaps never agreed on. Whoever serves
    // without it is joined: what is left of it is cut off there.
    let isServed = ensemble.isQuorum { settled[$0]?.agrees(with: notification) == true }
    if isServed, leads(leader, epoch, among: settled) {
      logicalClock = epoch
      decide(notification.vote, into: &effects)
    }
  }

  private func supportsLeader(
    _ notification: Notification, among ballots: [ServerID: Notification]
  ) -> Bool {
    let ours = own(as: .looking)
    return membership.isQuorum { voter in
      let ballot = voter == own ? ours : ballots[voter]
      return ballot?.agrees(with: notification) == true
    }
  }

  /// Followers may still name a leader that has died, so the leader itself must have said so.
  private func leads(
    _ leader: ServerID, _ epoch: Int64, among ballots: [ServerID: Notification]
  ) -> Bool {
    leader == own ? logicalClock == epoch : ballots[leader]?.state == .leading
  }

  private mutating func decide(_ decided: Vote, into effects: inout [Effect]) {
    vote = decided
    if decided.leader == own {
      state = .leading
    } else {
      state = membership.isObserver(own) ? .observing : .following
    }
    finalizeAt = nil
    resendAt = .distantFuture
    effects.append(.elected(leader: decided.leader))
    if state == .leading { tellAll(own(as: .leading), into: &effects) }
  }

  // MARK: Telling

  private func own(as state: PeerState) -> Notification {
    var vote = vote
    if state == .looking { vote.electionEpoch = logicalClock }
    return Notification(state: state, vote: vote)
  }

  private mutating func notifyAll(at now: Instant, into effects: inout [Effect]) {
    tellAll(own(as: .looking), into: &effects)
    resendAt = now.advanced(milliseconds: intervalMs)
  }

  private func tellAll(_ notification: Notification, into effects: inout [Effect]) {
    for voter in membership.voters where voter != own {
      effects.append(.notify(notification, to: voter))
    }
  }
}
