extension ConfigTable {
  /// Broker keys: identity, listeners, sockets, threads, ZooKeeper, metrics.
  ///
  /// The notation is explained at `ConfigTable`.
  static let serverKeys = """
    advertised.listeners string null * broker high +
      What clients and other brokers are told to connect to; the listeners themselves when absent.
    background.threads int 10 1.. cluster high -
      background work runs on event loops and the blocking-work threads
    broker.id int -1 * fixed high +
      This broker's number; -1 lets the cluster give one above reserved.broker.max.id.
    broker.id.generation.enable bool true * fixed medium +
      Whether a broker with id -1 is given one.
    broker.rack string null * fixed medium +
      Where this broker stands; replicas are spread over racks, and consumers may read nearby.
    client.quota.callback.class class null * fixed low !
      Java classes cannot be loaded: remove this key
    config.providers list [] * fixed low !
      configuration providers are Java classes: write the values themselves
    connections.max.idle.ms long 600000 * fixed medium +
      A connection idle for so long is closed.
    control.plane.listener.name string null * fixed high !
      a separate listener for the controller is not supported yet
    jackdaw.client.telemetry.directory string null * fixed low +
      Where clients' metrics are written, a line of JSON for each push; nowhere when absent.
    jackdaw.client.telemetry.enable bool false * fixed low +
      Whether clients may push their metrics (KIP-714), which are then shown with the broker's own.
    jackdaw.controller.quorum.auto.join.enable bool false * fixed low +
      Whether a controller that is no voter of a dynamic quorum makes itself one.
    jackdaw.failure.detection string fast {fast,session} fixed low +
      How a node that died is missed: fast probes a broker's listener and acts when the process is
      proven to be gone, and elects a leader of the quorum when the old one's port refuses; session
      waits for sessions and the fetch timeout to end, as Kafka does.
    jackdaw.metrics.host string 127.0.0.1 * fixed low +
      Address the metrics are served on.
    jackdaw.metrics.port int -1 -1..65535 fixed low +
      HTTP port for /metrics; -1 for none, 0 for any free one.
    kafka.metrics.polling.interval.secs int 10 1.. fixed low -
      metric reporters are Java classes; metrics are served over HTTP
    kafka.metrics.reporters list [] * fixed low !
      Java classes cannot be loaded; metrics are served over HTTP
    listener.security.protocol.map string \
    SASL_SSL:SASL_SSL,\
    PLAINTEXT:PLAINTEXT,\
    SSL:SSL,\
    SASL_PLAINTEXT:SASL_PLAINTEXT \
    * broker low +
      Which security protocol each listener name speaks.
    listeners string PLAINTEXT://:9092 * broker high +
      Names, hosts and ports this broker listens on.
    max.connection.creation.rate int 2147483647 0.. cluster medium +
      The most connections a second that this broker, or one of its listeners, takes.
    max.connections int 2147483647 0.. cluster medium +
      The most connections this broker holds.
    max.connections.per.ip int 2147483647 0.. cluster medium +
      The most connections one address may hold.
    max.connections.per.ip.overrides string "" * cluster medium +
      Limits for single addresses: address:count, separated by commas.
    metric.reporters list [] * cluster low !
      Java classes cannot be loaded; metrics are served over HTTP
    metrics.num.samples int 2 1.. fixed low -
      rates are computed by whoever scrapes the metrics
    metrics.recording.level string INFO * fixed low -
      every metric is always recorded
    metrics.sample.window.ms long 30000 1.. fixed low -
      rates are computed by whoever scrapes the metrics
    num.io.threads int 8 1.. cluster high +
      Threads for work that blocks: forcing to disk, reading cold data.
    num.network.threads int 3 1.. cluster high +
      Event loops that serve connections.
    queued.max.request.bytes long -1 * fixed medium +
      The most memory requests may hold; -1 for no limit.
    queued.max.requests int 500 1.. fixed high -
      requests are handled where they are read; none are queued
    request.timeout.ms int 30000 * fixed high +
      How long this broker waits for another's answer.
    reserved.broker.max.id int 1000 0.. fixed medium +
      The largest id that can be given by hand when ids are generated.
    socket.connection.setup.timeout.max.ms long 30000 * fixed medium -
      every attempt waits for socket.connection.setup.timeout.ms; it does not grow
    socket.connection.setup.timeout.ms long 10000 * fixed medium +
      How long a connection to another broker may take to be made.
    socket.listen.backlog.size int 50 1.. fixed medium +
      Connections the system may hold before they are accepted.
    socket.receive.buffer.bytes int 102400 * fixed high +
      Receive buffer of client connections; -1 leaves it to the system.
    socket.request.max.bytes int 104857600 1.. fixed high +
      The largest request that is read.
    socket.send.buffer.bytes int 102400 * fixed high +
      Send buffer of client connections; -1 leaves it to the system.
    telemetry.max.bytes int 1048576 1.. fixed low +
      The most that one push of a client's metrics may have, packed and unpacked.
    zookeeper.clientCnxnSocket string null * fixed medium -
      it names a Java class of ZooKeeper's client; the client here is built in
    zookeeper.connect string null * fixed high +
      Coordination servers, host:port separated by commas, with an optional path at the end.
    zookeeper.connection.timeout.ms int null * fixed high +
      How long the first connection may take; the session timeout when absent.
    zookeeper.max.in.flight.requests int 10 1.. fixed high -
      requests are sent one behind the other without waiting for answers
    zookeeper.metadata.migration.enable bool false * fixed high !
      migration to KRaft is not supported yet
    zookeeper.session.timeout.ms int 18000 * fixed high +
      A broker not heard of for so long is taken for dead.
    zookeeper.set.acl bool false * fixed high +
      Whether znodes are created so that only their creator can change them.
    """
}
