# mcewatch.pl LOG MONITOR PID: has QEMU raise the machine checks that the guest asks for by a line
# "WANT-MCE bank status mcgstatus address misc", while process PID lives.
use strict; use warnings; use IO::Socket::UNIX;
my ($log, $monitor, $pid) = @ARGV;
my %done;
while (kill 0, $pid) {
  if (open my $lines, '<', $log) {
    while (<$lines>) {
      next unless /WANT-MCE (\S+) (\S+) (\S+) (\S+) (\S+)/;
      next if $done{$.}++;
      my $socket = IO::Socket::UNIX->new(Peer => $monitor) or next;
      select undef, undef, undef, 0.3;
      print $socket "mce -b 0 $1 $2 $3 $4 $5\n";
      $socket->flush;
      select undef, undef, undef, 0.5;
      sysread $socket, my $answer, 4096;
      print STDERR "$answer\n";
      close $socket;
    }
    close $lines;
  }
  select undef, undef, undef, 0.3;
}
