// Becoming the active controller, and what it does unasked.
import KafkaRecords
import Metadata
import Values

extension QuorumController {
  mutating func activate(_ epoch: Int32, _ nextOffset: Offset) {
    if isActive { resign() }
    self.epoch = epoch
    self.nextOffset = max(nextOffset, committed.lastOffset + 1)
  }

  mutating func runDueWork() {}

  mutating func scheduleNoOp() {}
}
