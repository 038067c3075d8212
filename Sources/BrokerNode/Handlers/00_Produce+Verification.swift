/// Records that would begin a transaction in a partition wait until the coordinator has said that
/// it knows of them (KIP-890). Their connection is not read from meanwhile, so that what the
/// producer has sent behind them keeps its place.
import KafkaMessages
import KafkaProtocol
import Platform
import Records
import Transactions
import Values

/// What the coordinator has said about one row of a request.
enum RowVerdict {
  case verified(UInt64)
  case failed(PartitionFailure)
}

extension ProduceOperation {
  /// A row whose partition has no such transaction open.
  struct Question: Sendable {
    var place: Int
    var at: TopicPartition
    var producer: ProducerIdentity
    var partition: Partition
    var number: UInt64
  }

  /// What a transactional request has to ask first; usually nothing.
  func questions(_ context: RequestContext) -> [Question] {
    guard frame.transactionalID != nil,
      context.services.currentConfig.producers.isVerificationEnabled
    else { return [] }
    var questions: [Question] = []
    for (place, topic) in zip(frame.rows.indices, frame.topicOfRows) {
      guard let producer = producer(of: place, context),
        let partition = context.services.partitions[topic, frame.rows[place].index],
        let number = partition.beginVerification(producer.id, epoch: producer.epoch)
      else { continue }
      questions.append(
        Question(
          place: place, at: partition.id, producer: producer, partition: partition,
          number: number))
    }
    return questions
  }

  /// The producer of a row's transactional batch.
  func producer(of place: Int, _ context: RequestContext) -> ProducerIdentity? {
    guard let range = frame.rows[place].records, !range.isEmpty,
      let header = try? BatchHeader(
        UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: context.frame[range]))),
      header.isTransactional, header.hasProducerID
    else { return nil }
    return ProducerIdentity(ProducerID(header.producerID), epoch: header.producerEpoch)
  }

  /// Asks, and appends when the answer has come.
  func ask(_ questions: [Question], _ context: RequestContext) {
    guard let id = frame.transactionalID, let coordinator = context.services.transactions,
      let first = questions.first
    else { return finish(context) }
    // The receiving buffer is used again as soon as this returns.
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: context.frame.count, alignment: 8)
    copy.copyMemory(from: UnsafeRawBufferPointer(context.frame))
    if frame.acks != 0 { pending = context.park() }
    context.connection.hold()
    let later = LoopConfined((operation: self, context: context.with(frame: copy)))
    let loop = context.loop.eventLoop
    // A request comes from one producer: another one's rows are not what was asked about.
    let command = TransactionCommand(id, first.producer)
    coordinator.verifier.verify(command, questions.map(\.at)) { verdict in
      loop.execute {
        let (operation, context) = later.value
        operation.take(verdict, questions, from: first.producer)
        context.connection.release()
        operation.finish(context)
        context.frame.deallocate()
      }
    }
  }

  private func take(
    _ verdict: PartitionVerifier.Verdict, _ questions: [Question], from asked: ProducerIdentity
  ) {
    for question in questions {
      let error = question.producer == asked ? verdict[question.at] : .invalidTxnState
      guard let error else {
        verdicts[question.place] = .verified(question.number)
        continue
      }
      question.partition.endVerification(question.producer.id, question.number)
      verdicts[question.place] = .failed(Self.failure(error, version: version))
    }
  }

  /// What the producer is told. Some clients would give up on what says that the coordinator could
  /// not be asked: they are told something that every client repeats without asking for metadata.
  private static func failure(_ error: ErrorCode, version: Int16) -> PartitionFailure {
    switch error {
    case .concurrentTransactions, .networkException, .coordinatorLoadInProgress,
      .coordinatorNotAvailable, .notCoordinator:
      PartitionFailure(
        .notEnoughReplicas, "Unable to verify the partition has been added: \(error)")
    case .transactionAbortable where version > 10:
      PartitionFailure(error, "Partition was not added to the transaction")
    case .transactionAbortable, .invalidTxnState:
      PartitionFailure(.invalidTxnState, "Partition was not added to the transaction")
    default: PartitionFailure(error)
    }
  }
}
