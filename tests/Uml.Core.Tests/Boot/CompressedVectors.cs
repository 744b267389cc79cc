namespace Uml.Core.Tests.Boot;

/// <summary>
/// <see cref="Plain"/> as standard tools pack it, for the formats that no library on the feed writes.
/// Each comment names the command.
/// </summary>
internal static class CompressedVectors
{
    // xz --check=crc32 --x86 --lzma2=dict=32MiB, as the kernel build has it
    public const string XzWithBranchFilter =
        "/Td6WFoAAAFpIt42AgEEACEBGgAByYCz4Au3AKRdAHP//fANFrKD0G8eVssSvsj3j9D1vUnaKpu9xABEJvutgLYBw7E/b7APM8wKoAwE5rW9si8Z"
        + "rB6L/RDVmlVqL21NG9Vb5yHZwsQW5bYkWyvdfdti79WeA8mYQkm+frnPbUt0tomzYIVUDnvyGBtV7gwq1JOVyX41E4OyHp2qqFFJ+alcudVzyzUE"
        + "rlzobMtcJGi1PpHod2dCVpYqv80cXLVzBVAAAKCHkjoAAbwBuBcAAOP9klI+MA2LAgAAAAABWVo=";

    // xz -6 --block-size=2000
    public const string XzOfTwoBlocks =
        "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AfPAbhdAHQ+vdEMS9GjnZTvt4pIPBFj+Seotrlt9r2JrkYX/Z3BO+AD1IkolhTTB/xC/0ifcf7ZWHCm"
        + "ufJ5Qk0LZiIp60WiG/tljIJS3Khhn7nEyUrtFtwQ9Jc1AA/Zo7Lu8Qg6qt3zoa2XvW+XclFkPXcmf7FyqMAaDGixsDcqExFTZ8Gdyr+DDrvEdYwu"
        + "f8oabF53MSNFgiLrEbn3lm5Ja99gglng2GCe0fAso24u63HRLiPBkFWUiS2WiRpfiKYAjXAkbu5FZAXXQwngjBJKV98QxvjJ2q6zG57k649QA9I7"
        + "wC6YAjgHAp9HHE1HQoY/VFEUNcVa5ZdEYBG1Yxxih6/zPR4bMrLM38IqsEFVlREER18Lq4GFMnUuT0/KHMZT/Bg6RGRJNq6TdiY3Tk8OLWbje0az"
        + "+hKM+0Pjdb7FUiKZ8Q2WyVa/YSl3q+6+pP1edGcps/zdI2gCBtSz94syLyhjEehpAMaxBB9DmJsskg/zyGtnMpol3e2NqwsAEtBiGA/L7cf1HmqF"
        + "yU+tkDv3JJRW4fOX2zq6iCZEZufV2i03sQ6ESV+xm2hKTnjY16AqKsIWqpCQOcMOgxDjAAq/JoIoQWspAgAhARYAAAB0L+Wj4APnAQtdAHQKvQAL"
        + "8570nbUwV53mV44x1tyRJcOluLmU/6H5j55BTVUwX65qbgxBg+ll5M/qGq0L0M/gies953fy7ajbEIRQzVawWwdahJHFsNWqNOmY2mRkbeQzMrAM"
        + "X/sPT/cFVEMRNVNFxcgan9wcMEDVDeCtmej6W22KEz8F/S2t5xa340MAYTxluOjNkWFdniCxX7nTFCazShBspJyTWZrMEvr/wVOqqZ5flhbtVhx0"
        + "myjoKsYSzh2L/h6QV3xtL/AZJpiauRLfcMIDd4KwQYNcCH38KVhfBO1ZDm0q2wwTEpdw3WafpEUE1NhtoE/uAuv47nu5w16KigiPOK7BXoHSW4RV"
        + "CANwsVvlkyRtAAAAlr105zbmfmQAAtQD0A+nAugHAADJZ8bUFBc7MAMAAAAABFla";

    // xz --check=sha256
    public const string XzWithSha256 =
        "/Td6WFoAAArh+wyhAgAhARYAAAB0L+Wj4Au3AlldAHQ+vdEMS9GjnZTvt4pIPBFj+Seotrlt9r2JrkYX/Z3BO+AD1IkolhTTB/xC/0ifcf7ZWHCm"
        + "ufJ5Qk0LZiIp60WiG/tljIJS3Khhn7nEyUrtFtwQ9Jc1AA/Zo7Lu8Qg6qt3zoa2XvW+XclFkPXcmf7FyqMAaDGixsDcqExFTZ8Gdyr+DDrvEdYwu"
        + "f8oabF53MSNFgiLrEbn3lm5Ja99gglng2GCe0fAso24u63HRLiPBkFWUiS2WiRpfiKYAjXAkbu5FZAXXQwngjBJKV98QxvjJ2q6zG57k649QA9I7"
        + "wC6YAjgHAp9HHE1HQoY/VFEUNcVa5ZdEYBG1Yxxih6/zPR4bMrLM38IqsEFVlREER18Lq4GFMnUuT0/KHMZT/Bg6RGRJNq6TdiY3Tk8OLWbje0az"
        + "+hKM+0Pjdb7FUiKZ8Q2WyVa/YSl3q+6+pP1edGcps/zdI2gCBtSz94syLyhjEehpAMaxBB9DmJsskg/zyGtnMpol3e2NqwsAEtBiGA/L7cf1HmqF"
        + "yU+tkDv3JJRW4fOX2zq6iCZEZufV2i03sQ6ESV+xm2hKTnjY16AqKsIWqpCQOcMV5FyhIjoghmUgMx23A5AD7MTXMiz3J5cMikqdjaJi3gOPdryG"
        + "vmPBLVeR3MQVfjqh2nkWl7eHHy4eCxEQYTGjmH6plJ4bmfNnn5D+n+kHoAWeiW0Kqttz6EgynIjXzjxkpbW9oqBvElwlm4AxgoshDQEvw+q3vobQ"
        + "zUiEEobyhMk+p3HWQajYMed01OhKN8H0yjs/Pz0JGRm9QrnS0o9SH9oYeksAAAAAs/xekkv5paxHIJBxct8aw4ZBTbZy3YBvfpeGzAEUK3sAAY0F"
        + "uBcAACuPNGi26d8cAgAAAAAKWVo=";

    // xz --format=lzma -9
    public const string Lzma =
        "XQAAAAT//////////wB0Pr3RDEvRo52U77eKSDwRY/knqLa5bfa9ia5GF/2dwTvgA9SJKJYU0wf8Qv9In3H+2VhwprnyeUJNC2YiKetFohv7ZYyC"
        + "UtyoYZ+5xMlK7RbcEPSXNQAP2aOy7vEIOqrd86Gtl71vl3JRZD13Jn+xcqjAGgxosbA3KhMRU2fBncq/gw67xHWMLn/KGmxedzEjRYIi6xG595Zu"
        + "SWvfYIJZ4NhgntHwLKNuLutx0S4jwZBVlIktlokaX4imAI1wJG7uRWQF10MJ4IwSSlffEMb4ydqusxue5OuPUAPSO8AumAI4BwKfRxxNR0KGP1RR"
        + "FDXFWuWXRGARtWMcYoev8z0eGzKyzN/CKrBBVZURBEdfC6uBhTJ1Lk9PyhzGU/wYOkRkSTauk3YmN05PDi1m43tGs/oSjPtD43W+xVIimfENlslW"
        + "v2Epd6vuvqT9XnRnKbP83SNoAgbUs/eLMi8oYxHoaQDGsQQfQ5ibLJIP88hrZzKaJd3tjasLABLQYhgPy+3H9R5qhclPrZA79ySUVuHzl9s6uogm"
        + "RGbn1dotN7EOhElfsZtoSk542NegKirCFqqQkDnDFeRcoSI6IIZlIDMdtwOQA+zE1zIs9yeXDIpKnY2iYt4Dj3a8hr5jwS1XkdzEFX46odp5Fpe3"
        + "hx8uHgsREGExo5h+qZSeG5nzZ5+Q/p/pB6AFnoltCqrbc+hIMpyI1848ZKW1vaKgbxJcJZuAMYKLIQ0BL8Pqt76G0M1IhBKG8oTJPqdx1kGo2DHn"
        + "dNToSjfB9Mo7Pz89CRkZvUK50tKPUh/ckM2e//6oD2A=";

    // lzop -9 -n
    public const string Lzo =
        "iUxaTwANChoKEEAgoAlAAwkDAAANAAAAAGsEVw0AAAAAACZcAkkAAAu4AAAFH8P4GFkd6PsPAAAASInDAOjxxwEB6OfHAQLo3UUBEEcBA+jTxwEA"
        + "6MlFASCdBL/HAQLotUUBMJ0Eq8cBAOihxwEB6JdFAUCdBI3HAQPog0UBUJ0EeccBAehvRQFgnQRlxwED6FtFAXCdBFHHAQHoR8cBAug9RQGAnQQz"
        + "xwEA6ClFAZCdBB/HAQLoFUUBoJ0EC8cBAOgBxAEEAej3DgAAsJ0E7ccBA+jjRQHAnQTZxwEB6M9FAdCdBMXHAQPou0UB4J0EsccBAeinxwEC6J1F"
        + "AfCdBJPEAQEA6IkO/ix/Dv4sdQ7+LGsO/SxhxAEBAehXDv0sTcQBAQPoQw7+LDkO/iwvDv4sJQ7+LBsO/iwRDv0sB8QBAQLo/Q39LPPEAQEA6OkN"
        + "/izfDf4s1Q3+LMsN/SzBxAEBAei3Df0srcQBAQPoow3+LJkN/iyPDf4shQ3+LHsN/ixxDf0sZ8QBAQLoXQ39LFPEAQEA6EkN/iw/Df4sNQ3+LCsN"
        + "/SwhxAEBAegXDf0sDcQBAQPoAw3+LPkM/izvDP4s5Qz+LNsM/izRDP0sx8QBAQLovQz9LLPEAQEA6KkM/iyfDP4slQz+LIsM/SyBxAEBAeh3DP0s"
        + "bcQBAQPoYwz+LFkM/ixPDP4sRQz+LDsM/iwxDP0sJ8QBAQLoHQz9LBPEAQEA6AkM/iz/C/4s9Qv+LOsL/SzhxAEBAejXC/0szcQBAQPowwv+LLkL"
        + "/iyvC/4spQv+LJsL/iyRC/0sh8QBAQLofQv9LHPEAQEA6GkL/ixfC/4sVQv+LEsL/SxBxAEBAeg3C/0sLcQBAQPoIwv+LBkL/iwPC/4sBQv+LPsK"
        + "/izxCv0s58QBXZ8K/SzTxAFdnwr+LL8K/iy1Cv4sqwr9LKHEAV2fCv0sjcQBXZ8K/ix5Cv4sbwr+LGUK/ixbCv4sUQr9LEfEAV2fCv4sMwr+uCkK"
        + "/iwfCv4sFQr+LAsK/iwBCv649wn+LO0J/rjjCf4s2Qn+LM8J/izFCf4suwn+LLEJ/iynCf64nQn+LJMJ/riJCf4sfwn+LHUJ/ixrCf4sYQn+uFcJ"
        + "/ixNCf64Qwn+LDkJ/iwvCf4sJQn+LBsJ/iwRCf4sBwn+uP0I/izzCP646Qj+LN8I/izVCP4sywj+LMEI/ri3CP4srQj+uKMI/iyZCP4sjwj+LIUI"
        + "/ix7CP4scQj+LGcI/rhdCP4sUwj+uEkI/iw/CP4sNQj+LCsI/iwhCP64Fwj+LA0I/rgDCP4s+Qf+LO8H/izlB/4s2wf+LNEH/izHB/64vQf+LLMH"
        + "/ripB/4snwf+LJUH/iyLB/4sgQf+uHcH/ixtB/64Ywf+LFkH/ixPB/4sRQf+LDsH/iwxB/4sJwf+uB0H/iwTB/64CQf+LP8G/iz1Bv4s6wb+LOEG"
        + "/rjXBv4szQb+uMMG/iy5Bv4srwb+LKUG/iybBv4skQb+LIcG/rh9Bv4scwb+uGkG/ixfBv4sVQb+LEsG/ixBBv64Nwb+LC0G/rgjBv4sGQb+LA8G"
        + "/iwFBv4s+wX+LPEF/iznBf643QX+LNMF/rjJBf4svwX+LLUF/iyrBf4soQX+uJcF/iyNBf64gwX+LHkF/ixvBf4sZQX+LFsF/ixRBf4sRwX+uD0F"
        + "/iwzBf64KQX+LB8F/iwVBf4sCwX+LAEF/rj3BP4s7QT+uOME/izZBP4szwT+LMUE/iy7BP4ssQT+LKcE/ridBP4skwT+uIkE/ix/BP4sdQT+LGsE"
        + "/ixhBP64VwT9LE3FAQMRAAAAAAAA";

    /// <summary>3000 bytes like machine code: every tenth starts a call of one address, which the branch filter makes equal.</summary>
    public static byte[] Plain()
    {
        byte[] data = new byte[3000];
        for (int i = 0; i < 300; i++)
        {
            Span<byte> code = data.AsSpan(i * 10, 10);
            code[0] = 0xe8;
            System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(code[1..], 0x1000 - (i * 10) - 5);
            code[5] = (byte)((i * 7) & 0xf0);
            code[6] = 0x48;
            code[7] = 0x89;
            code[8] = 0xc3;
            code[9] = (byte)(i & 3);
        }

        return data;
    }
}
