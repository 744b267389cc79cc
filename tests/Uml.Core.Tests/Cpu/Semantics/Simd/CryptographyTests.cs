using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.Semantics.Simd;
using X86Aes = System.Runtime.Intrinsics.X86.Aes;

namespace Uml.Core.Tests.Cpu.Semantics.Simd;

/// <summary>AES, carry-less products and CRC-32C: published vectors, and the host where it has the instructions.</summary>
public class CryptographyTests
{
    [Test]
    public void Rounds_encrypt_and_decrypt_the_example_of_FIPS_197()
    {
        // FIPS 197, appendix C.1: key 00..0f, plaintext 00112233..ff.
        Vector128<byte> plain = Vector128.Create(Convert.FromHexString("00112233445566778899aabbccddeeff"));
        Vector128<byte> cipher = Vector128.Create(Convert.FromHexString("69c4e0d86a7b0430d8cdb78070b4c55a"));
        Vector128<byte>[] keys = ExpandKey(Vector128<byte>.Indices);

        Vector128<byte> state = plain ^ keys[0];
        for (int i = 1; i < 10; i++)
        {
            state = AesEncrypt.Portable(state, keys[i]);
        }

        Assert.That(AesEncryptLast.Portable(state, keys[10]), Is.EqualTo(cipher));

        state = cipher ^ keys[10];
        for (int i = 9; i > 0; i--)
        {
            state = AesDecrypt.Portable(state, AesInverseMixColumns.Apply(default, keys[i]));
        }

        Assert.That(AesDecryptLast.Portable(state, keys[0]), Is.EqualTo(plain));
    }

    [Test]
    public void Rounds_agree_with_the_host()
    {
        Assume.That(X86Aes.IsSupported);
        foreach ((Vector128<byte> a, Vector128<byte> b) in VectorSamples.Pairs())
        {
            Assert.That(AesEncrypt.Portable(a, b), Is.EqualTo(X86Aes.Encrypt(a, b)));
            Assert.That(AesEncryptLast.Portable(a, b), Is.EqualTo(X86Aes.EncryptLast(a, b)));
            Assert.That(AesDecrypt.Portable(a, b), Is.EqualTo(X86Aes.Decrypt(a, b)));
            Assert.That(AesDecryptLast.Portable(a, b), Is.EqualTo(X86Aes.DecryptLast(a, b)));
            Assert.That(AesInverseMixColumns.Apply(default, b), Is.EqualTo(X86Aes.InverseMixColumns(b)));
            Assert.That(AesKeyAssist.Apply(default, b, 0x1B), Is.EqualTo(X86Aes.KeygenAssist(b, 0x1B)));
        }
    }

    [Test]
    public void Carryless_products_agree_with_the_host()
    {
        Assume.That(Pclmulqdq.IsSupported);
        foreach ((Vector128<byte> a, Vector128<byte> b) in VectorSamples.Pairs())
        {
            ulong x = a.AsUInt64().GetElement(0);
            ulong y = b.AsUInt64().GetElement(1);
            Vector128<byte> expected = Pclmulqdq.CarrylessMultiply(a.AsUInt64(), b.AsUInt64(), 0x10).AsByte();
            Assert.That(CarrylessMultiply.Portable(x, y), Is.EqualTo(expected));
            Assert.That(CarrylessMultiply.Apply(a, b, 0x10), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Carryless_products_choose_their_halves()
    {
        Vector128<byte> a = Vector128.Create(3UL, 5).AsByte();
        Vector128<byte> b = Vector128.Create(7UL, 9).AsByte();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(CarrylessMultiply.Apply(a, b, 0x00).AsUInt64(), Is.EqualTo(Vector128.CreateScalar(9UL)));
            Assert.That(CarrylessMultiply.Apply(a, b, 0x01).AsUInt64(), Is.EqualTo(Vector128.CreateScalar(27UL)));
            Assert.That(CarrylessMultiply.Apply(a, b, 0x10).AsUInt64(), Is.EqualTo(Vector128.CreateScalar(27UL)));
            Assert.That(CarrylessMultiply.Apply(a, b, 0x11).AsUInt64(), Is.EqualTo(Vector128.CreateScalar(45UL)));
        }
    }

    /// <summary>The key schedule as AESKEYGENASSIST is used for it.</summary>
    private static Vector128<byte>[] ExpandKey(Vector128<byte> key)
    {
        Vector128<byte>[] keys = new Vector128<byte>[11];
        keys[0] = key;
        byte constant = 1;
        for (int i = 1; i < keys.Length; i++)
        {
            uint last = AesKeyAssist.Apply(default, keys[i - 1], constant).AsUInt32().GetElement(3);
            Vector128<uint> words = keys[i - 1].AsUInt32();
            uint w0 = words.GetElement(0) ^ last;
            uint w1 = words.GetElement(1) ^ w0;
            uint w2 = words.GetElement(2) ^ w1;
            keys[i] = Vector128.Create(w0, w1, w2, words.GetElement(3) ^ w2).AsByte();
            constant = (byte)((constant << 1) ^ (constant >= 0x80 ? 0x1B : 0));
        }

        return keys;
    }
}
