#!/usr/bin/perl
# A token for Bellpush, made with the key that is in the worker's token_key_file: no database asked.
#
#   perl token_jwt.pl KEYFILE SUBJECT FILTER...     may subscribe to these for an hour
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256 sha256_hex);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use POSIX qw(ceil);
use Time::HiRes qw(time);

sub bellpush_token {
    my ($key, $subject, $subscribe, $publish, $seconds) = @_;
    my $now = time;    # with its fraction: a token made right after revoke() is good
    open my $random, '<:raw', '/dev/urandom' or die "/dev/urandom: $!";
    read($random, my $id, 16) == 16 or die 'no random bytes';
    my $claims = JSON::PP->new->utf8->encode({
        sub => $subject, jti => substr(sha256_hex($id), 0, 24),
        iat => $now, exp => ceil($now + ($seconds || 3600)),
        bellpush => { subscribe => $subscribe, publish => $publish || [] },
    });
    my $signed = encode_base64url('{"alg":"HS256","typ":"JWT"}') . '.' . encode_base64url($claims);
    return $signed . '.' . encode_base64url(hmac_sha256($signed, $key));
}

unless (caller) {
    my ($file, $subject, @filters) = @ARGV;
    die "usage: token_jwt.pl KEYFILE SUBJECT FILTER...\n" unless @filters;
    open my $in, '<:raw', $file or die "$file: $!\n";
    my $key = do { local $/; <$in> };
    $key =~ s/[\r\n]+\z//;    # as the worker reads it
    utf8::decode($_) for $subject, @filters;
    print bellpush_token($key, $subject, \@filters), "\n";
}
1;
