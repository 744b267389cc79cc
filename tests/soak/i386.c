/* A static i386 program without a C library: integers of 32 and 64 bits, x87, recursion-free sorting; prints what it comes to. */
static int write_out(int descriptor, const void *bytes, int count)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(4), "b"(descriptor), "c"(bytes), "d"(count) : "memory");
    return result;
}

static unsigned seed = 12345;

static unsigned next(void)
{
    seed = seed * 1103515245u + 12345u;
    return seed >> 16;
}

void _start(void)
{
    static unsigned numbers[4096];
    unsigned hash = 2166136261u, words[4];
    unsigned long long product = 1;
    double sum = 1;
    char text[33];
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 4096; i++)
            numbers[i] = next() * 7 + i;
        for (int i = 1; i < 4096; i++) {
            unsigned value = numbers[i];
            int at = i;
            for (; at > 0 && numbers[at - 1] > value && at > i - 40; at--)
                numbers[at] = numbers[at - 1];
            numbers[at] = value;
        }
        for (int i = 0; i < 4096; i++) {
            hash = (hash ^ numbers[i]) * 16777619u;
            product = product * 6364136223846793005ULL + numbers[i];
            sum = sum * 1.0000001 + (double)(numbers[i] % 97) / 3;
        }
    }
    words[0] = hash;
    words[1] = (unsigned)product;
    words[2] = (unsigned)(product >> 32);
    words[3] = (unsigned)(long long)sum;
    for (int i = 0; i < 32; i++)
        text[i] = "0123456789abcdef"[(words[i / 8] >> (28 - i % 8 * 4)) & 15];
    text[32] = '\n';
    write_out(1, text, 33);
    __asm__ volatile("int $0x80" : : "a"(1), "b"(0));
}
