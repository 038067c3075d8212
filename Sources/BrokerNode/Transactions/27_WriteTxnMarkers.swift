/// WriteTxnMarkers, key 27, versions 0–1.
///
/// A coordinator tells the leaders of a transaction's partitions how it has ended, and is answered
/// when every in-sync replica has the marker. An administrator's tool sends it too, with the
/// coordinator epoch that it finds at the partition, to end a transaction that no coordinator knows
/// of (KIP-664).
import KafkaMessages
import KafkaProtocol

enum WriteTxnMarkersHandler: ApiHandler {
  static func handle(_ request: WriteTxnMarkersRequest, _ context: RequestContext) {
    let pending = context.park()
    MarkerOperation.start(request.markers, on: context.loop) { answers in
      pending.send(WriteTxnMarkersResponse { $0.markers = answers })
    }
  }
}
