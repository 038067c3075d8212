/// A topic's settings as its logs want them.
import Compression
import LogStorage
import Records
import Settings

extension BrokerServices {
  func logConfig(_ topic: TopicConfig) -> LogConfig {
    var config = LogConfig()
    config.segmentBytes = Int(topic.segmentBytes)
    config.segmentMs = topic.maxSegmentMs
    config.segmentJitterMs = topic.segmentJitterMs
    config.segmentIndexBytes = Int(topic.segmentIndexBytes)
    config.indexIntervalBytes = Int(topic.indexIntervalBytes)
    config.flushMessages = topic.flushMessages
    config.flushMs = topic.flushMs
    config.retentionBytes = topic.retentionBytes
    config.retentionMs = topic.retentionMs
    config.fileDeleteDelayMs = topic.fileDeleteDelayMs
    config.deleteRetentionMs = topic.deleteRetentionMs
    config.minCompactionLagMs = topic.minCompactionLagMs
    config.maxCompactionLagMs = topic.maxCompactionLagMs
    config.minCleanableDirtyRatio = topic.minCleanableDirtyRatio
    config.isCompacted = topic.isCompacted
    config.deletesOldSegments = topic.isDeleted
    config.producerIDExpirationMs = self.config.producers.idExpirationMs
    config.rules.compressor = compressor(topic)
    config.rules.timestampType = topic.isLogAppendTime ? .logAppendTime : .createTime
    config.rules.timestampBeforeMaxMs = topic.messageTimestampBeforeMaxMs
    config.rules.timestampAfterMaxMs = topic.messageTimestampAfterMaxMs
    config.rules.maxMessageBytes = Int(topic.maxMessageBytes)
    return config
  }

  /// Nil for `producer`: records stay as they come.
  private func compressor(_ topic: TopicConfig) -> Compressor? {
    switch topic.compressionType {
    case "uncompressed": Compressor(.none)
    case "gzip": Compressor(.gzip, level: Int(topic.compressionGzipLevel))
    case "snappy": Compressor(.snappy)
    case "lz4": Compressor(.lz4, level: Int(topic.compressionLz4Level))
    case "zstd": Compressor(.zstd, level: Int(topic.compressionZstdLevel))
    default: nil
    }
  }
}
