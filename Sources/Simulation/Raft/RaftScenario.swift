import Raft
import Values

// A quorum led by hand (see `ScenarioScript`). The commands:
//
//     servers 3 voters 3 [static]   so many servers, of which the first vote; none of them up
//     join                          controllers started from here on make themselves voters
//     log 2 1 1 1 4 4               server 2 has on disk a record of each of these epochs
//     epoch 3 4                     server 3 has been in epoch 4, says its quorum-state
//     start 1 2 3                   starts servers from their disks
//     crash 3                       ends servers; what they had not flushed is lost
//     lose-disk 3                   ends a server, which comes back as another replica
//     stop 1                        ends a server in order: it hands over what it leads
//     run 500                       lets so many milliseconds pass
//     write 1 [5]                   a client writes that many times at server 1
//     resign 1                      tells a leader to go
//     add-voter 1 4                 an operator asks server 1 to make server 4 a voter
//     remove-voter 1 4              an operator asks server 1 to remove server 4
//     remove-lost 1 3               an operator asks to remove what server 3 was on its old disk
//     snapshot 1                    server 1 makes a snapshot and forgets what is before it
//     isolate 3                     parts a server from all others
//     part 1 2                      parts two servers
//     heal                          ends all partitions
//     slow-disk 40                  flushes take so many milliseconds from here on
//     status                        the state of every server
//     logs                          the epochs of every server's records

/// Plays scenario scripts.
public struct RaftScenario {
  private var cluster: RaftCluster?
  private var shown = 0

  private init() {}

  /// The script with its outputs as they are now.
  public static func play(_ script: String) -> String {
    var scenario = RaftScenario()
    return ScenarioScript.play(script) { scenario.perform($0) }
  }

  private mutating func perform(_ words: [String]) -> [String] {
    let arguments = words.dropFirst().compactMap(Int.init)
    if words[0] == "servers" {
      let voters = arguments.count > 1 ? arguments[1] : arguments.first ?? 3
      cluster = RaftCluster(
        scripted: arguments.first ?? 3, voters: voters, isDynamic: !words.contains("static"))
      return []
    }
    guard let servers = cluster?.servers.count else { return ["no servers yet"] }
    // Servers are numbered from 1; a number that is none is left out.
    let indices = arguments.map { $0 - 1 }.filter { (0..<servers).contains($0) }
    switch words[0] {
    case "run":
      let end = (cluster?.now ?? .zero).advanced(milliseconds: Int64(arguments.first ?? 0))
      cluster?.advance(to: end)
    case "join": cluster?.joinsAutomatically = true
    case "heal": cluster?.network.healAll()
    case "slow-disk":
      let delay = Int64(arguments.first ?? 1)
      cluster?.flushMs = delay...delay
    case "status": return cluster?.status ?? []
    case "logs": return cluster?.logs ?? []
    case "epoch":
      let epoch = LeaderEpoch(Int32(arguments[1]))
      cluster?.servers[arguments[0] - 1].disk.election = ElectionState(epoch: epoch)
    case "log": cluster?.setLog(of: arguments[0] - 1, epochs: Array(arguments.dropFirst()))
    default: act(words[0], indices, arguments)
    }
    return news()
  }

  /// What is done to single servers.
  private mutating func act(_ word: String, _ indices: [Int], _ arguments: [Int]) {
    guard let first = indices.first else { return }
    switch word {
    case "start": for index in indices { cluster?.start(index) }
    case "crash": for index in indices { cluster?.crash(index) }
    case "lose-disk": cluster?.loseDisk(first)
    case "stop": cluster?.step(first, .shutdown(timeoutMs: 5000))
    case "write":
      for _ in 0..<(arguments.count > 1 ? arguments[1] : 1) { cluster?.write(at: first) }
    case "resign":
      if let epoch = cluster?.servers[first].machine?.epoch {
        cluster?.step(first, .resign(epoch: epoch))
      }
    case "add-voter": cluster?.operate(first, adding: indices[indices.count - 1])
    case "remove-voter": cluster?.operate(first, removing: indices[indices.count - 1])
    case "remove-lost": cluster?.operate(first, removing: indices[indices.count - 1], lost: true)
    case "snapshot": cluster?.takeSnapshot(first)
    case "isolate": cluster?.isolate(first)
    case "part": cluster?.network.block(first, indices[indices.count - 1])
    default:
      let now = cluster?.now ?? .zero
      cluster?.trace.note(now, "unknown command")
    }
  }

  private mutating func news() -> [String] {
    guard let cluster else { return [] }
    let lines = Array(cluster.trace.lines.dropFirst(shown))
    shown = cluster.trace.lines.count
    return lines + cluster.violations.map { "VIOLATED \($0)" }
  }
}

extension RaftCluster {
  /// A quorum without chance, but for election timeouts: every message takes a millisecond, every
  /// flush two.
  init(scripted count: Int, voters: Int, isDynamic: Bool) {
    self.init(servers: count, voters: voters, isDynamic: isDynamic, seed: 1, recording: true)
    trace.limit = 100_000
    network.delaysMs = 1...1
    network.slowPercent = 0
    flushMs = 2...2
  }

  /// Puts a log on a server's disk: a record of each epoch, the first of an epoch its leader's.
  mutating func setLog(of index: Int, epochs: [Int]) {
    for (offset, number) in epochs.enumerated() {
      let epoch = LeaderEpoch(Int32(number))
      let isFirst = offset == 0 || epochs[offset - 1] != number
      let change = ControlRecord.leaderChange(
        leader: BrokerID(0), voters: [], grantingVoters: [])
      // Nobody else makes a record with this number at this offset.
      let value = number * 1000 + offset
      if !isFirst { invariants.noteOffered(value, epoch: epoch) }
      servers[index].disk.log.append(
        RaftBatch(
          baseOffset: Offset(offset), epoch: epoch,
          records: [isFirst ? .control(change) : .value(value)]))
    }
    _ = servers[index].disk.log.completeFlush(servers[index].disk.log.beginFlush())
  }

  mutating func operate(_ leader: Int, adding index: Int) {
    requests += 1
    add(servers[index].key, at: leader, RequestID(requests))
  }

  /// - Parameter lost: whether the voter that has the server's id is meant, whatever its directory.
  mutating func operate(_ leader: Int, removing index: Int, lost: Bool = false) {
    requests += 1
    let key = servers[index].key
    let known = servers[leader].machine?.voters[key.id]?.key
    let request = RemoveVoterRequest(clusterID: nil, voter: lost ? known ?? key : key)
    step(leader, .request(.removeVoter(request), id: RequestID(requests)))
  }

  var status: [String] {
    servers.map { server in
      guard let machine = server.machine else { return "\(server.name) down" }
      let leader = machine.currentLeader.id.map { "\($0.rawValue)" } ?? "unknown"
      let watermark = machine.highWatermark.map { "\($0)" } ?? "unknown"
      return "\(server.name) \(machine.state.rawValue) in epoch \(machine.epoch.rawValue), "
        + "leader \(leader), log \(machine.log.startOffset)..<\(machine.log.endOffset), "
        + "high watermark \(watermark)"
    }
  }

  var logs: [String] {
    servers.map { server in
      let records = server.disk.log.entries.flatMap { batch in
        batch.records.map { _ in "\(batch.epoch.rawValue)" }
      }
      let before = server.disk.startOffset > 0 ? "snapshot to \(server.disk.startOffset), " : ""
      return "\(server.name): \(before)\(records.joined(separator: " "))"
    }
  }
}
