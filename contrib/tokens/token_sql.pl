#!/usr/bin/perl
# A token for Bellpush, made by the database: there is no key to keep.  Needs libdbd-pg-perl.
#
#   perl token_sql.pl 'dbname=shop' SUBJECT FILTER...     may subscribe to these for an hour
use strict;
use warnings;
use DBI;

sub bellpush_token {
    my ($db, $subject, $subscribe, $publish, $ttl) = @_;
    return $db->selectrow_array('SELECT bellpush.token(?::text[], ?::text[], ?, ?)', undef,
        $subscribe, $publish || [], $ttl || '1 hour', $subject);
}

unless (caller) {
    my ($database, $subject, @filters) = @ARGV;
    die "usage: token_sql.pl DATABASE SUBJECT FILTER...\n" unless @filters;
    $database =~ tr/ /;/;    # DBI's way to write it
    my $db = DBI->connect("dbi:Pg:$database", undef, undef, { RaiseError => 1, PrintError => 0 });
    print scalar(bellpush_token($db, $subject, \@filters)), "\n";
}
1;
