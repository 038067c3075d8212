extension ConfigTable {
  private static let watchPackage = "org.apache.zookeeper.server.watch"
  private static let watchManagers =
    "{\(watchPackage).WatchManager,\(watchPackage).WatchManagerOptimized}"

  /// `zoo.cfg`: limits on clients. The notation is explained at `ConfigTable`.
  static let coordinatorLimitKeys = """
    clientTcpKeepAlive bool false * +
      Whether connections of clients have TCP's keep-alive.
    connection_throttle_decrease_ratio double 0 0..1 +
      Share of the tokens in use up to which the likelihood to be turned away falls.
    connection_throttle_drop_decrease double 0.002 0..1 +
      By how much the likelihood to be turned away falls.
    connection_throttle_drop_increase double 0.02 0..1 +
      By how much the likelihood to be turned away rises.
    connection_throttle_fill_count int 1 0.. +
      Tokens that come back each connection_throttle_fill_time.
    connection_throttle_fill_time int 1 0.. +
      Milliseconds after which connection_throttle_fill_count tokens come back.
    connection_throttle_freeze_time int -1 -1.. +
      Milliseconds between changes of the likelihood; -1 for turning nobody away by chance.
    connection_throttle_global_session_weight int 3 0.. +
      Tokens that a new session takes, where weights count.
    connection_throttle_local_session_weight int 1 0.. +
      Tokens that a new local session takes, where weights count.
    connection_throttle_renew_session_weight int 2 0.. +
      Tokens that a session takes that comes back, where weights count.
    connection_throttle_tokens int 0 0.. +
      Sessions that may be opened at once; 0 for any number.
    connection_throttle_weight_enabled bool false * +
      Whether sessions take tokens by their kind, instead of one each.
    enforceQuota bool false * +
      Whether requests that would pass a hard limit of a quota are refused.
    globalOutstandingLimit int 1000 1..10000000 +
      Requests that may wait for agreement before clients are no longer read from.
    intBufferStartingSizeBytes int 1024 0.. -
      buffers begin small and grow as bytes arrive
    jute.maxbuffer int 1048575 1024..1073741824 +
      Longest request of a client in bytes.
    jute.maxbuffer.extrasize int 1048575 0..1073741824 +
      Bytes by which a packet between servers or a transaction on disk may be longer.
    largeRequestMaxBytes int 104857600 1.. +
      Bytes that all large requests under way may have together.
    largeRequestThreshold int -1 -1.. +
      Bytes above which a request is large; below 1 for never.
    maxClientCnxns int 60 0.. +
      Connections from one address; 0 for no limit.
    maxCnxns int 0 0.. +
      Connections at all; 0 for no limit.
    maxGetChildrenResponseCacheSize int 400 -1.. -
      answers are written straight from the tree
    maxResponseCacheSize int 400 -1.. -
      answers are written straight from the tree
    netty.advancedFlowControl.enabled bool false * -
      a client that does not read is not read from, always
    netty.server.earlyDropSecureConnectionHandshakes bool false * !
      a TLS connection too many is closed after its handshake
    netty.server.outstandingHandshake.limit int -1 -1.. +
      TLS handshakes under way above which no more are begun; -1 for no limit.
    nio.directBufferBytes int 65536 0.. -
      connections have buffers of their own
    nio.numSelectorThreads int null 0.. -
      one event loop serves all clients
    nio.numWorkerThreads int null 0.. -
      one event loop serves all clients
    nio.sessionlessCnxnTimeout int 10000 1.. +
      Milliseconds a connection may go without a session.
    nio.shutdownTimeout int 5000 0.. -
      a stop waits for nothing but the disk
    commitProcessor.maxCommitBatchSize int 1 1.. -
      commits are applied as they come
    commitProcessor.maxReadBatchSize int -1 -1.. -
      reads are answered as they come
    commitProcessor.numWorkerThreads int null 0.. -
      one event loop serves all clients
    commitProcessor.shutdownTimeout int 0 0.. -
      a stop waits for nothing but the disk
    request_stale_connection_check bool true * -
      requests of closed connections are dropped always
    request_stale_latency_check bool false * !
      the request throttle is not there yet
    request_throttle_drop_stale bool true * -
      a request of a closed connection is dropped always
    request_throttle_max_requests int 0 0.. +
      Requests under way above which no more are begun; 0 for no limit.
    request_throttle_stall_time int 100 1.. +
      Milliseconds after which a connection that waits for room looks again.
    request_throttler.shutdownTimeout int 10000 0.. -
      a stop waits for nothing but the disk
    throttled_op_wait_time int 0 0.. !
      the request throttle is not there yet
    znode.container.checkIntervalMs int 60000 1.. +
      Milliseconds between looks for empty containers and old TTL znodes.
    znode.container.maxNeverUsedIntervalMs long 0 0.. +
      Milliseconds after which a container goes that never had a child; 0 keeps it.
    znode.container.maxPerMinute int 10000 1.. +
      Most containers and TTL znodes that are deleted in a minute.
    """

  /// `zoo.cfg`: who is let in and what they may do.
  static let coordinatorSecurityKeys = """
    DigestAuthenticationProvider.digestAlg string SHA1 * +
      Hash of users and passwords: SHA1, SHA-256 or SHA-512.
    DigestAuthenticationProvider.enabled bool true * +
      Whether clients may prove who they are by user and password.
    DigestAuthenticationProvider.superDigest password null * +
      user:hash of the user who may do everything.
    X509AuthenticationProvider.superUser string null * +
      Subject of the certificate that matches every x509 entry of ACLs.
    allowSaslFailedClients bool false * +
      Whether a client that fails to prove who it is stays connected.
    closeSessionTxn.enabled bool true * +
      Whether the end of a session names its znodes, as servers before 3.6 do not.
    emulate353TTLNodes bool false * !
      TTL znodes of 3.5.3 are not read
    enableEagerACLCheck bool false * !
      ACLs are checked by the leader alone, and a write that is refused has its transaction
    enforce.auth.enabled bool false * +
      Whether clients must have proved an identity of enforce.auth.schemes.
    enforce.auth.schemes list [] * +
      Schemes of which a client must have proved one.
    ensembleAuthName string null * !
      the ensemble scheme is not there yet
    extendedTypesEnabled bool false * +
      Whether TTL znodes may be made.
    java.security.auth.login.config string null * +
      JAAS file with the users of SASL DIGEST-MD5.
    kerberos.canonicalizeHostNames bool false * -
      Kerberos is not supported
    kerberos.removeHostFromPrincipal bool false * -
      Kerberos is not supported
    kerberos.removeRealmFromPrincipal bool false * -
      Kerberos is not supported
    letAnySaslUserDoX string null * +
      Id in sasl entries of ACLs that every SASL user matches.
    quorum.auth.enableSasl bool false * !
      SASL between servers is not there yet
    quorum.auth.kerberos.servicePrincipal string "" * -
      it only serves quorum.auth.enableSasl, which is refused
    quorum.auth.learner.saslLoginContext string "" * -
      it only serves quorum.auth.enableSasl, which is refused
    quorum.auth.learnerRequireSasl bool false * !
      SASL between servers is not there yet
    quorum.auth.server.saslLoginContext string "" * -
      it only serves quorum.auth.enableSasl, which is refused
    quorum.auth.serverRequireSasl bool false * !
      SASL between servers is not there yet
    requireKerberosConfig bool false * !
      Kerberos is not supported
    sasl.serverconfig string Server * +
      Section of the JAAS file that has the users.
    SASLAuthenticationProvider.superPassword password null * +
      Password of the SASL user super, in place of the JAAS file's.
    security.auth_to_local string null * -
      Kerberos is not supported
    sessionRequireClientSASLAuth bool false * +
      Whether clients must have proved an identity by SASL.
    skipACL string no {yes,no} +
      Whether ACLs are ignored.
    superUser string null * +
      SASL user who may do everything.
    """

  /// `zoo.cfg`: TLS, each `ssl.` key also as `ssl.quorum.`.
  static let coordinatorTLSKeys: String = {
    let shared = """
      ciphersuites list [] * +
        Cipher suites by their IANA names; empty for the library's choice.
      clientAuth string need {none,want,need} +
        Whether peers must show a certificate.
      context.supplier.class string "" * !
        classes cannot be loaded
      crl bool false * !
        revocation lists are not asked for
      enabledProtocols list [] * +
        TLSv1.2 and TLSv1.3 unless given.
      fipsMode bool false * !
        the cryptography library's own configuration decides
      handshakeDetectionTimeoutMillis int 5000 1.. +
        Milliseconds that a handshake may take.
      keyStore.location string "" * +
        PEM or PKCS12 file with the private key and its certificates.
      keyStore.password password "" * +
        Password of the key store.
      keyStore.passwordPath string "" * +
        File whose first line is the key store's password.
      keyStore.type string "" * +
        PEM or PKCS12; told by the file's name unless given.
      ocsp bool false * !
        revocation is not asked for
      protocol string "" * +
        The protocol that is used unless enabledProtocols says otherwise.
      trustStore.location string "" * +
        PEM or PKCS12 file with trusted certificates; the system's unless given.
      trustStore.password password "" * +
        Password of the trust store.
      trustStore.passwordPath string "" * +
        File whose first line is the trust store's password.
      trustStore.type string "" * +
        PEM or PKCS12; told by the file's name unless given.
      """
    var table = """
      portUnification bool false * +
        Whether servers are also taken without TLS.
      sslQuorum bool false * +
        Whether servers speak TLS with each other.
      sslQuorumReloadCertFiles bool false * !
        certificates are read at the start
      ssl.authProvider string x509 {x509} +
        What makes an identity of a client's certificate.
      ssl.clientHostnameVerification bool false * !
        certificates of clients are not compared with their addresses
      ssl.quorum.clientHostnameVerification bool true * +
        Whether servers that connect must have certificates with names of members.
      ssl.hostnameVerification bool true * -
        clients compare names; a server has no name of theirs to compare
      ssl.quorum.hostnameVerification bool true * +
        Whether certificates of servers are compared with names and addresses.

      """
    for prefix in ["ssl.", "ssl.quorum."] {
      for line in shared.split(separator: "\n") {
        table += line.hasPrefix("  ") ? "\(line)\n" : "\(prefix)\(line)\n"
      }
    }
    return table
  }()

  /// `zoo.cfg`: what operators look at.
  static let coordinatorOperationKeys = """
    4lw.commands.whitelist list srvr * +
      Four-letter words that are answered; * for all.
    admin.commandURL string /commands * +
      Path of the AdminServer's commands.
    admin.enableServer bool true * +
      Whether the AdminServer is started.
    admin.forceHttps bool false * !
      the AdminServer speaks plain HTTP only
    admin.httpVersion int 11 11..11 +
      HTTP/1.1 is the only one.
    admin.idleTimeout int 30000 0.. +
      Milliseconds after which an idle connection of the AdminServer is closed.
    admin.portUnification bool false * !
      the AdminServer speaks plain HTTP only
    admin.serverAddress string 127.0.0.1 * +
      Address the AdminServer listens at.
    admin.serverPort int 8080 0..65535 +
      Port of the AdminServer; a taken one is a warning.
    audit.enable bool false * !
      the audit log is not there yet
    audit.impl.class string "" * -
      it only serves audit.enable, which is refused
    bitHashCacheSize int 10 0.. -
      watches are kept in one form only
    jvm.pause.info-threshold.ms long 1000 * +
      Milliseconds from which a pause is logged.
    jvm.pause.monitor bool false * +
      Whether pauses of the process and the machine are looked for (jvm_pause_time_ms).
    jvm.pause.sleep.time.ms long 500 1.. +
      Milliseconds between looks for pauses.
    jvm.pause.warn-threshold.ms long 10000 * +
      Milliseconds from which a pause is logged as a warning.
    maxInProcessingDeadWatchers int -1 -1.. -
      watches of closed connections go at once
    messageTracker.BufferSize int 10 1..100000 +
      Packets in either direction that are kept of each connection between servers.
    messageTracker.Enabled bool false * +
      Whether the last packets are logged when a connection between servers ends.
    metricsProvider.className string "" * +
      org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider for a Prometheus endpoint.
    metricsProvider.exportJvmInfo bool true * -
      there is no Java machine to tell of
    metricsProvider.httpHost string 127.0.0.1 * +
      Address of the Prometheus endpoint.
    metricsProvider.httpPort int 7000 0..65535 +
      Port of the Prometheus endpoint.
    metricsProvider.maxQueueSize int 1000000 0.. -
      metrics are counted where they happen
    metricsProvider.numWorkerThreads int 1 0.. -
      metrics are counted where they happen
    metricsProvider.workerShutdownTimeoutMs int 1000 0.. -
      metrics are counted where they happen
    pathStats.delay int 5 * -
      paths are not counted, as by default
    pathStats.enabled bool false * !
      paths are not counted
    pathStats.initialDelay int 5 * -
      paths are not counted, as by default
    pathStats.maxDepth int 6 * -
      paths are not counted, as by default
    pathStats.sampleRate double 0.1 * -
      paths are not counted, as by default
    pathStats.slotCapacity int 60 * -
      paths are not counted, as by default
    pathStats.slotDuration int 15 * -
      paths are not counted, as by default
    pathStats.topPathMax int 20 * -
      paths are not counted, as by default
    watchManagerName string org.apache.zookeeper.server.watch.WatchManager \(watchManagers) -
      watches are kept in one form, which answers as both of ZooKeeper's do
    watcherCleanIntervalInSeconds int 600 0.. -
      watches of closed connections go at once
    watcherCleanThreadsNum int 2 0.. -
      watches of closed connections go at once
    watcherCleanThreshold int 1000 0.. -
      watches of closed connections go at once
    """
}
