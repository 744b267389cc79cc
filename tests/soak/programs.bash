# What programs.sh runs here and in the guest. Nothing it prints may depend on where it runs.
programs=${PROGRAMS:-/bin}
export LC_ALL=C
echo "--- i386"
"$programs/i386"

echo "--- openssl"
for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512 sm3 ripemd160; do
    busybox head -c 3000000 /usr/bin/node | openssl dgst -$digest 2>&1
done
for cipher in aes-128-cbc aes-256-ctr chacha20 camellia-256-cbc aria-256-cbc; do
    busybox head -c 2000000 /usr/bin/node |
        openssl enc -$cipher -K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -iv 000102030405060708090a0b0c0d0e0f 2>/dev/null | md5sum
done
openssl prime 170141183460469231731687303715884105727
echo message >message
openssl genrsa -out rsa 1024 2>/dev/null
openssl rsa -in rsa -check -noout 2>&1
openssl rsa -in rsa -pubout -out rsa.public 2>/dev/null
openssl dgst -sha256 -sign rsa -out signature message
openssl dgst -sha256 -verify rsa.public -signature signature message
openssl ecparam -genkey -name prime256v1 -noout -out ec
openssl ec -in ec -pubout -out ec.public 2>/dev/null
openssl dgst -sha256 -sign ec -out signature message
openssl dgst -sha256 -verify ec.public -signature signature message

echo "--- python3"
/usr/bin/python3 - <<'PYTHON'
import decimal, hashlib, json, math, random, re, zlib
random.seed(7)
print(sum(random.random() for _ in range(100000)), random.gauss(0, 1))
print(2**4000 % 1000000007, math.factorial(700) % 998244353, decimal.Decimal(2).sqrt())
data = bytes(random.getrandbits(8) for _ in range(200000))
packed = zlib.compress(data * 3, 6)
print(len(packed), hashlib.sha1(zlib.decompress(packed)).hexdigest(), zlib.crc32(data))
print(hashlib.md5(json.dumps({str(i): [math.sin(i), i**3] for i in range(3000)}).encode()).hexdigest())
print(len(re.findall(r"(\w+)\s\1", "a a b b c d d " * 2000)), "%.17g" % math.exp(1.5), float("0.1") + 0.2)
PYTHON

echo "--- perl"
perl -e 'my %h; for my $i (1..60000){$h{($i*7919)%9973}.=chr(65+$i%26)} my $s=join",",map{"$_=$h{$_}"} sort{$a<=>$b} keys %h;
my $c=0; $c=($c*31+ord)%1000003 for split//,$s; print "$c ",length $s," ",scalar(()=$s=~/A[B-Z]+/g)," ",sqrt(2)*atan2(1,1),"\n";
use bigint; print 3**200 % 10**40,"\n"'

echo "--- node"
node -e 'let s=0; for (let i=0;i<3e6;i++) s=(s*31+i)|0; let f=0; for (let i=1;i<1e6;i++) f+=Math.sin(i)/i;
const a=Array.from({length:100000},(_, i)=>(i*7919)%100003).sort((x,y)=>x-y);
console.log(s,f,a[777],require("crypto").createHash("sha512").update(JSON.stringify(a)).digest("hex").slice(0,32));
class Fib { constructor(x) { this.x=x } m(n) { return n<2 ? n : this.m(n-1)+this.m(n-2) } }
console.log((123456789n**50n%1000000007n).toString(),"aXbX".repeat(5000).replace(/X/g,"--").length,new Fib(1).m(25));' 2>/dev/null

echo "--- gcc"
gcc -O2 -o plain "$programs/libm.c" -lm && ./plain
gcc -O3 -march=x86-64-v2 -o vectors "$programs/libm.c" -lm && ./vectors
md5sum <plain
