import Containers
import Testing
import Values

@Suite struct TimingWheelTests {
  @Test func timersFireInOrderAndNeverEarly() {
    var wheel = TimingWheel<Int64>(startingAt: 1_000)
    var random = SplitMix(seed: 7)
    var expected: [Int64] = []
    for _ in 0..<2_000 {
      let deadline = 1_001 + Int64.random(in: 0...300_000, using: &random)
      _ = wheel.insert(deadline, at: deadline)
      expected.append(deadline)
    }
    expected.sort()
    var fired: [Int64] = []
    var tick: Int64 = 1_000
    while wheel.count > 0 {
      tick += Int64.random(in: 1...5_000, using: &random)
      while let deadline = wheel.popDue(at: tick) {
        #expect(deadline <= tick)
        fired.append(deadline)
      }
      if let next = wheel.nextTick { #expect(next > tick) }
    }
    #expect(fired == expected)
  }

  @Test func nextTickNeverComesAfterADeadline() {
    var random = SplitMix(seed: 11)
    for _ in 0..<200 {
      var wheel = TimingWheel<Int64>(startingAt: Int64.random(in: 0...1_000_000, using: &random))
      let deadlines = (0..<5).map { _ in
        wheel.current + 1 + Int64.random(in: 0...(1 << 37), using: &random)
      }
      for deadline in deadlines { _ = wheel.insert(deadline, at: deadline) }
      var fired: [Int64] = []
      while let next = wheel.nextTick {
        while let deadline = wheel.popDue(at: next) {
          #expect(deadline == next)
          fired.append(deadline)
        }
      }
      #expect(fired == deadlines.sorted())
    }
  }

  @Test func cancelledTimersDoNotFire() {
    var wheel = TimingWheel<String>(startingAt: 0)
    let first = wheel.insert("first", at: 10)
    let second = wheel.insert("second", at: 10)
    let third = wheel.insert("third", at: 500)
    #expect(wheel.cancel(second) == "second")
    #expect(wheel.cancel(second) == nil)
    #expect(wheel.popDue(at: 10) == "first")
    #expect(wheel.popDue(at: 10) == nil)
    #expect(wheel.cancel(first) == nil)
    #expect(wheel.cancel(third) == "third")
    #expect(wheel.nextTick == nil)
    #expect(wheel.count == 0)
  }

  @Test func aTokenOfAReusedPlaceIsHarmless() {
    var wheel = TimingWheel<Int>(startingAt: 0)
    let old = wheel.insert(1, at: 1)
    #expect(wheel.popDue(at: 1) == 1)
    let new = wheel.insert(2, at: 5)
    #expect(wheel.cancel(old) == nil)
    #expect(wheel.cancel(new) == 2)
  }

  @Test func timersOfThePastFireNextTickNotThisOne() {
    var wheel = TimingWheel<Int>(startingAt: 100)
    _ = wheel.insert(1, at: 5)
    #expect(wheel.popDue(at: 100) == nil)
    #expect(wheel.popDue(at: 101) == 1)
  }

  @Test func randomInsertsAndCancelsAgreeWithAList() {
    var random = SplitMix(seed: 3)
    var wheel = TimingWheel<Int>(startingAt: 0)
    var model: [Int: (deadline: Int64, token: TimingWheel<Int>.Token)] = [:]
    var tick: Int64 = 0
    for id in 0..<20_000 {
      switch Int.random(in: 0..<4, using: &random) {
      case 0, 1:
        let deadline = tick + 1 + Int64.random(in: 0...10_000, using: &random)
        model[id] = (deadline, wheel.insert(id, at: deadline))
      case 2:
        if let victim = model.keys.sorted().randomElement(using: &random) {
          if let entry = model.removeValue(forKey: victim) {
            #expect(wheel.cancel(entry.token) == victim)
          }
        }
      default:
        tick += Int64.random(in: 0...200, using: &random)
        while let id = wheel.popDue(at: tick) {
          #expect(model.removeValue(forKey: id).map { $0.deadline <= tick } == true)
        }
        #expect(!model.values.contains { $0.deadline <= tick })
      }
      if model.count > 300 { model.removeAll(); wheel = TimingWheel(startingAt: tick) }
    }
  }
}
