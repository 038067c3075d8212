extension ConfigTable {
  private static let package = "org.apache.zookeeper.server"
  private static let factories =
    "{\(package).NIOServerCnxnFactory,\(package).NettyServerCnxnFactory}"

  /// `zoo.cfg`: what every server is told. The notation is explained at `ConfigTable`.
  static let coordinatorKeys = """
    clientPort int null 0..65535 +
      Port for clients; 0 for a free one.
    clientPortAddress string null * +
      Address the client port listens at; loopback unless given.
    clientPortListenBacklog int -1 -1.. +
      Connections that may wait to be accepted; -1 for as many as the system allows.
    dataDir string null nonempty +
      Directory of snapshots, epochs and myid.
    dataLogDir string null nonempty +
      Directory of transaction logs; dataDir unless given.
    maxSessionTimeout int -1 -1.. +
      Longest session timeout in milliseconds; 20 ticks unless given.
    minSessionTimeout int -1 -1.. +
      Shortest session timeout in milliseconds; 2 ticks unless given.
    tickTime int 3000 1..3600000 +
      Milliseconds of a tick, the unit of all other limits.
    serverCnxnFactory string org.apache.zookeeper.server.NIOServerCnxnFactory \(factories) -
      connections are served by event loops, with and without TLS, whichever factory is named
    secureClientPort int null 0..65535 +
      Port for clients that speak TLS.
    secureClientPortAddress string null * +
      Address the secure port listens at; loopback unless given.
    client.portUnification bool false * +
      Whether the client port takes clients with TLS, too.
    localSessionsEnabled bool false * +
      Whether sessions begin as their server's own.
    localSessionsUpgradingEnabled bool false * +
      Whether a local session becomes a global one by its first ephemeral.
    """

  /// `zoo.cfg`: who is in the ensemble and how its members speak with each other.
  static let coordinatorEnsembleKeys = """
    cnxTimeout int 5000 1.. +
      Milliseconds an election connection may take to open.
    connectToLearnerMasterLimit int 0 0.. +
      Ticks a learner may take to connect to the leader; 0 for initLimit.
    dynamicConfigFile string null * +
      File with the server, group and weight lines, and the configuration's version.
    electionAlg int 3 3..3 +
      Fast leader election is the only one.
    electionPortBindRetry int 3 0.. +
      How often a taken election port is tried again, a second apart; 0 for ever.
    fastleader.maxNotificationInterval int 60000 1.. +
      Longest pause in milliseconds before votes are sent again.
    fastleader.minNotificationInterval int 200 1.. +
      First pause in milliseconds before votes are sent again.
    follower.nodelay bool true * +
      Whether a learner's small packets to its leader leave at once.
    follower.skipLearnerRequestToNextProcessor bool false * -
      it keeps a follower's queue short; here a request that waits for the leader is in no queue
    forceSnapshotSync bool false * +
      Whether learners are always brought up by a snapshot.
    forward_learner_requests_to_commit_processor_disabled bool false * -
      it keeps the leader's queue short; here requests of learners are in no queue of commits
    initLimit int 0 0.. +
      Ticks a learner may take to connect and synchronise.
    leader.ackLoggingFrequency int 1000 * +
      Of how many transactions one has its acknowledgements timed (ack_latency); below 1 for none.
    leader.closeSocketAsync bool false * -
      closing a connection never holds anything up, also one whose peer is gone
    leader.maxConcurrentDiffSyncs int 100 1.. +
      Most learners that are brought up by a DIFF at the same time.
    leader.maxConcurrentSnapSyncs int 10 1.. +
      Most learners that are brought up by a snapshot at the same time.
    leader.maxTimeToWaitForEpoch int -1 -1.. +
      Milliseconds a leader waits for the epochs of a quorum; -1 for initLimit ticks.
    leader.nodelay bool true * +
      Whether a leader's small packets to its learners leave at once.
    leaderConnectDelayDuringRetryMs int 100 0.. +
      Milliseconds before a refused connection to the leader is tried again.
    leaderServes string yes {yes,no} +
      Whether a leader serves clients of its own.
    learner.asyncSending bool false * -
      sending to the leader never holds anything up, also to one that does not read
    learner.closeSocketAsync bool false * -
      closing a connection never holds anything up, also one whose peer is gone
    multiAddress.enabled bool false * !
      several addresses for one server are not supported
    multiAddress.reachabilityCheckEnabled bool true * -
      it only serves multiAddress.enabled, which is refused
    multiAddress.reachabilityCheckTimeoutMs int 1000 0.. -
      it only serves multiAddress.enabled, which is refused
    observer.election.DelayMs int 200 * +
      Most milliseconds, at random, before an observer that lost its leader looks for another one.
    observer.reconnectDelayMs int 0 * +
      Most milliseconds, at random, before an observer connects to the leader that it has found.
    observerMaster.sizeLimit int 33554432 0.. -
      it only serves observerMasterPort, which is refused
    observerMasterPort int 0 0..65535 !
      observer masters are not supported
    oraclePath string "" * !
      the quorum oracle is not supported
    peerType string participant {participant,observer} +
      A server's own role; the server lines prevail.
    quorum.cnxn.threads.size int 20 1.. -
      greetings between servers are read by the event loop, any number at a time
    quorumCnxnTimeoutMs int -1 -1.. +
      Milliseconds an election connection may take to say who opens it; syncLimit unless given.
    quorumListenOnAllIPs bool false * +
      Whether the quorum and election ports listen at all addresses.
    readonlymode.enabled bool false * +
      Whether a server without a quorum serves clients that asked for as little.
    reconfigEnabled bool false * +
      Whether the ensemble may be changed by reconfig.
    standaloneEnabled bool true * +
      Whether a single participant runs without an ensemble's protocols.
    syncEnabled bool true * +
      Whether a server that is an observer logs what it hears and takes snapshots.
    syncLimit int 0 0.. +
      Ticks a learner may stay silent or behind.
    tcpKeepAlive bool false * +
      Whether election connections have TCP's keep-alive.
    testingonly.initialZxid long 0 0..0 !
      it exists for ZooKeeper's own tests
    version string null * +
      Version of the configuration, hexadecimal; of dynamic configuration files.
    """

  /// `zoo.cfg`: files.
  static let coordinatorStorageKeys = """
    autopurge.purgeInterval string 0 * +
      Hours between purges, or a time with a unit (ms, s, m, h, d); 0 for never.
    autopurge.snapRetainCount int 3 0.. +
      Snapshots that a purge leaves; never below 3.
    commitLogCount int 500 0..10000000 +
      Transactions kept in memory for learners that are a little behind.
    datadir.autocreate bool true * +
      Whether missing data directories are made.
    db.autocreate bool true * !
      an empty data directory may always vote
    digest.enabled bool true * +
      Whether the tree's digest is computed and compared.
    flushDelay int 0 0.. +
      Milliseconds from one flush of the log to the next, unless maxBatchSize is reached before.
    forceSync string yes {yes,no} +
      Whether transactions are acknowledged only when they are on disk.
    fsync.warningthresholdms int 1000 0.. +
      Milliseconds from which a flush of the log is worth a warning.
    maxBatchSize int 1000 0.. +
      Transactions that one flush of the log takes; 0 for all that wait.
    maxWriteQueuePollTime int null 0.. +
      Milliseconds without a transaction after which flushDelay is waited for no longer; a third of
      it unless given.
    preAllocSize int 65536 0..4194304 +
      Kilobytes by which logs are lengthened ahead.
    snapCount int 100000 2.. +
      Transactions between snapshots: from half of it on, at random.
    snapSizeLimitInKb long 4194304 * +
      Kilobytes of log between snapshots, at random like snapCount; 0 or less for no limit.
    snapshot.compression.method string checked {gz,snappy,checked} +
      Form of new snapshots: gz, snappy, or plain with checksums.
    snapshot.trust.empty bool false * +
      Whether logs without any snapshot are replayed over an empty tree.
    snapshotSizeFactor double 0.33 * +
      Most of the log on disk, as a share of the data, that is sent in place of a snapshot (a
      mebibyte always is); negative for none.
    txnLogSizeLimitInKb long -1 * +
      Kilobytes at which a log file is closed and a new one begun; below 1 for no limit.
    """
}
