//! Run a server under systemd: its sockets, its limits, and what it tells.
//!
//! systemd may open the sockets and pass them on: `ringseal listen` without an address serves all that
//! are passed, of TCP and of the Unix domain. They stay open while the service restarts, so that clients
//! wait instead of being refused, and ports below 1024 need no privilege of the service. A server of your
//! own takes each by [`ServerBuilder::listen_on`](crate::ServerBuilder::listen_on), with the crate
//! `listenfd`.
//!
//! `ringseal.socket`:
//!
//! ```text
//! [Socket]
//! ListenStream=0.0.0.0:9000
//! ListenStream=/run/ringseal/socket
//! SocketMode=0660
//! Backlog=4096
//!
//! [Install]
//! WantedBy=sockets.target
//! ```
//!
//! `ringseal.service`:
//!
//! ```text
//! [Unit]
//! Requires=ringseal.socket
//! After=ringseal.socket
//!
//! [Service]
//! Type=notify-reload
//! ExecStart=/usr/local/bin/ringseal listen --mode sink --namespace example \
//!     --identity ${CREDENTIALS_DIRECTORY}/identity.pem --allow-file /etc/ringseal/peers \
//!     --max-connections 10000 --slots 64 --heap-budget 256MiB --log-format json
//! LoadCredential=identity.pem:/etc/ringseal/identity.pem
//! # Longer than --drain-timeout, which is 5 seconds.
//! TimeoutStopSec=10
//! Restart=on-failure
//! # A descriptor for each connection. The program raises its soft limit by itself.
//! LimitNOFILE=16384
//! # The slots of all threads: here 64 of 272 KiB on each of up to 8, and their rings.
//! LimitMEMLOCK=192M
//! DynamicUser=yes
//! NoNewPrivileges=yes
//! ProtectSystem=strict
//! ProtectHome=yes
//! PrivateDevices=yes
//! ```
//!
//! With these two `systemctl reload` has the file of keys read again, and `systemctl stop` drains: see
//! [`shutdown`](super::shutdown). The service counts as started when it accepts. `Accept=yes`, which starts
//! a process for each connection, does not work: what is passed has to listen.
//!
//! Where `RestrictAddressFamilies=` or `SystemCallFilter=` is set, both have to let pass what a ring needs
//! (`io_uring_setup`, `io_uring_enter`, `io_uring_register`); `ringseal doctor`, started under the same
//! settings, says whether they do.
