import Bytes
import KafkaMessages
import KafkaProtocol
import Transport

/// A group coordinator for one group: a round ends when every member has joined, or after a moment.
final class FakeCoordinator {
  private struct Waiting {
    var reply: Reply
    var slot: ReplySlot
  }
  private struct Member {
    var protocols: [JoinGroupRequest.JoinGroupRequestProtocol]
    var joining: Waiting?
    var syncing: Waiting?
    var assignment: [UInt8] = []
  }

  private var members: [String: Member] = [:]
  private(set) var generation: Int32 = 0
  private var leader = ""
  private var isRebalancing = false
  private var hasAssignments = false
  private var counter = 0

  var memberCount: Int { members.count }

  func forget(_ connection: Connection) {}

  func serve(
    _ key: ApiKey, _ reader: inout ByteReader, _ version: Int16, _ reply: Reply
  ) throws {
    switch key {
    case .joinGroup: join(try JoinGroupRequest(from: &reader, version: version), version, reply)
    case .syncGroup: sync(try SyncGroupRequest(from: &reader, version: version), reply)
    case .heartbeat:
      let request = try HeartbeatRequest(from: &reader, version: version)
      reply.send(
        HeartbeatResponse { $0.errorCode = check(request.memberID, request.generationID, reply) })
    case .leaveGroup:
      let request = try LeaveGroupRequest(from: &reader, version: version)
      for member in request.members { members[member.memberID] = nil }
      if !members.isEmpty { begin(reply) }
      reply.send(LeaveGroupResponse())
    default: throw CloseReason.malformed("\(key) is not served")
    }
  }

  private func check(_ member: String, _ generation: Int32, _ reply: Reply) -> Int16 {
    if reply.code != 0 { return reply.code }
    if members[member] == nil { return ErrorCode.unknownMemberID.rawValue }
    if generation != self.generation { return ErrorCode.illegalGeneration.rawValue }
    return isRebalancing ? ErrorCode.rebalanceInProgress.rawValue : 0
  }

  private func join(_ request: JoinGroupRequest, _ version: Int16, _ reply: Reply) {
    var id = request.memberID
    if id.isEmpty {
      counter += 1
      id = "member-\(counter)"
      reply.send(
        JoinGroupResponse {
          $0.errorCode = ErrorCode.memberIDRequired.rawValue
          $0.memberID = id
        })
      members[id] = Member(protocols: request.protocols)
      return
    }
    if reply.code != 0 {
      reply.send(JoinGroupResponse { $0.errorCode = reply.code })
      return
    }
    guard members[id] != nil else {
      reply.send(JoinGroupResponse { $0.errorCode = ErrorCode.unknownMemberID.rawValue })
      return
    }
    members[id]?.protocols = request.protocols
    members[id]?.joining = Waiting(reply: reply, slot: reply.connection.park())
    begin(reply)
    if members.values.allSatisfy({ $0.joining != nil }) { finish() }
  }

  private func begin(_ reply: Reply) {
    guard !isRebalancing else { return }
    isRebalancing = true
    hasAssignments = false
    reply.connection.loop.schedule(afterMs: 500) { [weak self] in
      guard let self, isRebalancing else { return }
      members = members.filter { $0.value.joining != nil }
      finish()
    }
  }

  private func finish() {
    isRebalancing = false
    generation += 1
    let ids = members.keys.sorted()
    leader = ids.first ?? ""
    let name = members[leader]?.protocols.first?.name
    for id in ids {
      guard let waiting = members[id]?.joining else { continue }
      members[id]?.joining = nil
      let response = JoinGroupResponse {
        $0.generationID = generation
        $0.protocolType = "consumer"
        $0.protocolName = name
        $0.leader = leader
        $0.memberID = id
        if id == leader {
          $0.members = ids.map { member in
            JoinGroupResponse.JoinGroupResponseMember {
              $0.memberID = member
              $0.metadata =
                members[member]?.protocols.first { $0.name == name }?.metadata ?? []
            }
          }
        }
      }
      waiting.reply.complete(waiting.slot, response)
    }
  }

  private func sync(_ request: SyncGroupRequest, _ reply: Reply) {
    let code = check(request.memberID, request.generationID, reply)
    guard code == 0 else {
      reply.send(SyncGroupResponse { $0.errorCode = code })
      return
    }
    members[request.memberID]?.syncing = Waiting(reply: reply, slot: reply.connection.park())
    if request.memberID == leader {
      for entry in request.assignments { members[entry.memberID]?.assignment = entry.assignment }
      hasAssignments = true
    }
    guard hasAssignments else { return }
    for id in members.keys.sorted() {
      guard let waiting = members[id]?.syncing else { continue }
      members[id]?.syncing = nil
      waiting.reply.complete(
        waiting.slot, SyncGroupResponse { $0.assignment = members[id]?.assignment ?? [] })
    }
  }
}
