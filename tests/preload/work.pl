# SPDX-License-Identifier: MIT
# Work for perl whose output is the same in each run: hashes, sorts, regular expressions, threads,
# which clone all data, and a child.
use strict;
use warnings;
use threads;
use Data::Dumper;
use Digest::SHA qw(sha256_hex);
use List::Util qw(max sum);

$| = 1;
$Data::Dumper::Sortkeys = 1;

sub tell_of {
    my ($what, $text) = @_;
    printf "%s %d %s\n", $what, length $text, substr sha256_hex($text), 0, 16;
}

my $seed = 1;

sub dice {
    $seed = ($seed * 1103515245 + 12345) % 2**31;
    return ($seed >> 8) % shift;
}

my %words;
for (1 .. 60_000) {
    my $word = join '', map { chr 97 + dice(26) } 1 .. 2 + dice(3);
    push @{ $words{$word} }, $_;
}
my @sorted = sort { @{ $words{$b} } <=> @{ $words{$a} } || $a cmp $b } keys %words;
tell_of('words', join ' ', map { "$_:" . sum(@{ $words{$_} }) } @sorted);
delete @words{ grep { /^[aeiou]/ } @sorted };
tell_of('kept', join ' ', sort keys %words);

my $text = join "\n", map { "$_ = " . length($_) ** 2 . "; # " . reverse $_ } @sorted[0 .. 10_000];
(my $changed = $text) =~ s/(\w+) = (\d+); # (\w+)/$3($2) -> "\u$1"/g;
tell_of('substitution', $changed);
tell_of('matches', join ',', $text =~ /\b([a-m]+)(?=.*[n-z]{2}$)/mg);
tell_of('split', join '|', map { scalar reverse } split /[;=#]\s*/, $text);

my @records = map { { id => $_, name => "name $_", list => [ 1 .. $_ % 7 ] } } 1 .. 5000;
tell_of('dump', Dumper(\@records));
tell_of('pack', join '', map { pack 'NnA8d', $_->{id}, $_->{id} % 999, $_->{name}, $_->{id} / 3 } @records);
my $long = '';
$long .= "line $_\n" x ($_ % 11) for 1 .. 10_000;
tell_of('long', $long);

sub count_in_thread {
    my $part = shift;
    my %count;
    $count{ substr $_, 0, 1 + $part } += @{ $words{$_} } for keys %words;
    return join ' ', map { "$_$count{$_}" } sort keys %count;
}
my @threads = map { threads->create(\&count_in_thread, $_) } 0 .. 2;
tell_of('thread', $_->join) for @threads;

my $child = open(my $pipe, '-|') // die "no child: $!";
if ($child == 0) {
    print join "\n", map { $_ * max(1, $_ % 100) } 1 .. 10_000;
    exit 0;
}
tell_of('child', do { local $/; <$pipe> });
close $pipe or die "the child failed: $?";
