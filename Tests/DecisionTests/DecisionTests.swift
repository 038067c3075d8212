import Decision
import Testing

@Suite struct ReplyGateTests {
  @Test func repliesLeaveInTheOrderOfTheirPositions() {
    var gate = ReplyGate<String>()
    gate.park("a", until: 1)
    gate.park("b", until: 3)
    gate.park("c", until: 3)
    gate.park("d", until: 4)
    var left: [String] = []
    gate.release(upTo: 0) { left.append($0) }
    #expect(left.isEmpty)
    gate.release(upTo: 3) { left.append($0) }
    #expect(left == ["a", "b", "c"])
    #expect(gate.count == 1)
  }

  @Test func whatIsAbandonedIsHandedOverOnce() {
    var gate = ReplyGate<Int>()
    for number in 0..<5 { gate.park(number, until: Int64(number)) }
    gate.release(upTo: 1) { _ in }
    var left: [Int] = []
    gate.abandon { left.append($0) }
    gate.abandon { left.append($0) }
    #expect(left == [2, 3, 4])
    #expect(gate.count == 0)
  }

  @Test func memoryIsGivenBackWhileRepliesComeAndGo() {
    var gate = ReplyGate<Int>()
    var released = 0
    for number in 0..<10_000 {
      gate.park(number, until: Int64(number))
      gate.release(upTo: Int64(number) - 100) { _ in released += 1 }
      #expect(gate.count <= 101)
    }
    #expect(released == 9_900)
  }
}
