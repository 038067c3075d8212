import TestKit
import Testing
import Values

@testable import Znodes

/// Names and data of nodes through changes of every size, beside a model.
@Suite struct NodeTableTests {
  private static func data(using random: inout SplitMix) -> [UInt8]? {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: nil
    case 1: []
    // More than fits into a chunk's text.
    case 2: [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: 5000)
    default:
      (0..<Int.random(in: 0..<300, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
    }
  }

  @Test func dataStayWithTheirNodes() {
    var random = SplitMix(seed: 11)
    var table = NodeTable()
    var model: [String: (index: NodeIndex, data: [UInt8]?, owner: Int64)] = [:]
    var copies: [(table: NodeTable, data: [String: [UInt8]?])] = []
    for round in 0..<30_000 {
      let name = "n\(Int.random(in: 0..<2500, using: &random))"
      let data = Self.data(using: &random)
      if let known = model[name] {
        if Int.random(in: 0..<4, using: &random) == 0 {
          table.remove(known.index)
          model[name] = nil
        } else {
          table.setData(of: known.index, data)
          model[name]?.data = data
        }
      } else {
        let owner = Int64(Int.random(in: 0..<3, using: &random))
        let index = table.insert(Node(), named: name, data: data, under: .root)
        table.setOwner(of: index, owner)
        model[name] = (index, data, owner)
      }
      if round % 10_000 == 0 { copies.append((table, model.mapValues(\.data))) }
    }
    for (name, known) in model {
      #expect(table.find("/" + name) == known.index)
      #expect(table.name(of: known.index) == name)
      #expect(table.data(of: known.index) == known.data)
      #expect(table.owner(of: known.index) == known.owner)
      #expect(table[known.index].dataCount == known.data?.count ?? 0)
    }
    // What has changed since leaves a copy as it was.
    for copy in copies {
      for (name, data) in copy.data {
        let index = copy.table.find("/" + name)
        #expect(index.map { copy.table.data(of: $0) } == .some(data))
      }
    }
  }

  @Test func namesOfAnyLengthAndScript() {
    var table = NodeTable()
    let names = ["", "é", "日本", String(repeating: "x", count: 6000), "plain"]
    for name in names {
      let index = table.insert(Node(), named: name, data: [1, 2], under: .root)
      #expect(table.name(of: index) == name)
      #expect(table.child(of: .root, named: name) == index)
      table.setData(of: index, [UInt8](repeating: 7, count: 9000))
      table.setData(of: index, [3])
      #expect(table.name(of: index) == name)
      #expect(table.data(of: index) == [3])
    }
  }

  /// Every byte of a name, its length and its parent count in its hash.
  @Test func hashesAreOfTheWholeName() {
    let hasher = NameHasher()
    func hash(_ name: [UInt8], _ parent: Int32 = 1) -> Int {
      name.withUnsafeBufferPointer { hasher.hash(NodeIndex(raw: parent), $0) }
    }
    var seen: Set<Int> = []
    var made = 0
    for length in 0...40 {
      let name = (0..<length).map { UInt8($0 + 1) }
      var names = [name]
      for position in 0..<length {
        var changed = name
        changed[position] ^= 0x80
        names.append(changed)
      }
      for name in names {
        for parent in [1, 2] as [Int32] { seen.insert(hash(name, parent)) }
      }
      made += 2 * names.count
    }
    #expect(seen.count == made)
    // Names as clients number them spread over the slots: a quarter full, hardly any two in a row.
    var slots: [Int: Int] = [:]
    for number in 0..<4096 { slots[hash(Array("node-\(number)".utf8)) & 0x3fff, default: 0] += 1 }
    #expect(slots.count > 3400 && slots.values.max() ?? 0 < 9)
  }

  /// A znode's own record, without name and data: what a million of them weighs.
  @Test func nodesAreSmall() { #expect(MemoryLayout<Node>.stride <= 96) }
}
