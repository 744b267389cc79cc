/*
 * A static i386 program without a C library: integers of 32 and 64 bits, x87, recursion-free sorting; prints what it comes to. As a program
 * of 64 bits it comes to the same.
 */
#ifdef __x86_64__
#define CALL "syscall"
#define NUMBER_OF_WRITE 1L
#define NUMBER_OF_EXIT 60L
#define ARGUMENTS(first, second, third) "D"(first), "S"(second), "d"(third)
#define ARGUMENT(first) "D"(first)
#define CHANGED "rcx", "r11", "memory"
#else
#define CALL "int $0x80"
#define NUMBER_OF_WRITE 4
#define NUMBER_OF_EXIT 1
#define ARGUMENTS(first, second, third) "b"(first), "c"(second), "d"(third)
#define ARGUMENT(first) "b"(first)
#define CHANGED "memory"
#endif

static long write_out(long descriptor, const void *bytes, long count)
{
    long result;
    __asm__ volatile(CALL : "=a"(result) : "a"(NUMBER_OF_WRITE), ARGUMENTS(descriptor, bytes, count) : CHANGED);
    return result;
}

static unsigned seed = 12345;

static unsigned next(void)
{
    seed = seed * 1103515245u + 12345u;
    return seed >> 16;
}

__attribute__((force_align_arg_pointer)) void _start(void)
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
    __asm__ volatile(CALL : : "a"(NUMBER_OF_EXIT), ARGUMENT(0L) : CHANGED);
}
