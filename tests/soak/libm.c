/* Compiled in the guest: what it prints tells about the compiler, the C library and the vector unit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    static char text[100000];
    double sum = 0;
    unsigned long hash = 5381;
    for (int i = 1; i < 2000000; i++)
        sum += sin(i) * sqrt(i) / (i + 1.0);
    memset(text, 'x', sizeof text - 1);
    for (const char *at = text; *at; at++)
        hash = hash * 33 + (unsigned char)*at;
    printf("%.15g %lx %zu\n", sum, hash, strlen(text));
    return 0;
}
