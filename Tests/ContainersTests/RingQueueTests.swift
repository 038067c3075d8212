import Containers
import Testing
import Values

@Suite struct RingQueueTests {
  @Test func agreesWithAnArray() {
    var random = SplitMix(seed: 1)
    var queue = RingQueue<Int>()
    var model: [Int] = []
    for step in 0..<10_000 {
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1, 2:
        queue.append(step)
        model.append(step)
      case 3:
        queue.prepend(step)
        model.insert(step, at: 0)
      case 4:
        #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
      default:
        #expect(queue.popLast() == model.popLast())
      }
      #expect(queue.count == model.count)
      #expect(queue.first == model.first)
      #expect(queue.last == model.last)
    }
    #expect(Array(queue) == model)
    queue.removeAll()
    #expect(queue.isEmpty)
  }

  @Test func lettingGoReleasesElements() {
    final class Thing {}
    var queue = RingQueue<Thing>()
    weak var watched: Thing?
    do {
      let thing = Thing()
      watched = thing
      queue.append(thing)
    }
    #expect(watched != nil)
    _ = queue.popFirst()
    #expect(watched == nil)
  }
}
