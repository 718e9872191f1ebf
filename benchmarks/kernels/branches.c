/* Written by generate_branches.py: a function too large and branchy for small tricks. */
#include "runtime.h"

static uint32_t cells[64];

static NOINLINE uint32_t branches(uint32_t x)
{
    if (x < 374114282u)
        x = x * 2008045183u + 0;
    else
        cells[33] += x ^= x >> 7;
    if (x >> 25 & 1)
        x = x * 1156348781u + 1;
    else
        cells[13] += x ^= x >> 13;
    if (x < 3548851879u)
        x = x * 1666395155u + 2;
    else
        cells[58] += x ^= x >> 9;
    if (x >> 26 & 1)
        x = x * 3016388765u + 3;
    else
        cells[48] += x ^= x >> 1;
    if ((x >> 19 & 15) > 10)
        x = x * 4258081829u + 4;
    else
        cells[33] += x ^= x >> 11;
    if ((x >> 14 & 15) > 5)
        x = x * 2879067571u + 5;
    else
        cells[5] += x ^= x >> 6;
    if ((x >> 3 & 15) > 0)
        x = x * 805043991u + 6;
    else
        cells[59] += x ^= x >> 1;
    if ((x >> 25 & 15) > 7)
        x = x * 3456140793u + 7;
    else
        cells[38] += x ^= x >> 8;
    if ((x >> 3 & 15) > 10)
        x = x * 1380975971u + 8;
    else
        cells[61] += x ^= x >> 11;
    if (x >> 0 & 1)
        x = x * 311013585u + 9;
    else
        cells[24] += x ^= x >> 13;
    if ((x >> 16 & 15) > 0)
        x = x * 762426677u + 10;
    else
        cells[63] += x ^= x >> 1;
    if ((x >> 14 & 15) > 3)
        x = x * 3906469449u + 11;
    else
        cells[39] += x ^= x >> 4;
    if (x >> 2 & 1)
        x = x * 2690853041u + 12;
    else
        cells[10] += x ^= x >> 10;
    if ((x >> 25 & 15) > 7)
        x = x * 325777425u + 13;
    else
        cells[36] += x ^= x >> 8;
    if (x < 3202455455u)
        x = x * 3830701885u + 14;
    else
        cells[38] += x ^= x >> 7;
    if ((x ^ cells[50]) & 134217728u)
        x = x * 348021261u + 15;
    else
        cells[50] += x ^= x >> 2;
    if ((x ^ cells[36]) & 32u)
        x = x * 3946750491u + 16;
    else
        cells[36] += x ^= x >> 10;
    if (x >> 22 & 1)
        x = x * 1160718871u + 17;
    else
        cells[32] += x ^= x >> 13;
    if ((x ^ cells[59]) & 262144u)
        x = x * 3648273851u + 18;
    else
        cells[59] += x ^= x >> 7;
    if ((x >> 11 & 15) > 10)
        x = x * 517846985u + 19;
    else
        cells[59] += x ^= x >> 11;
    if ((x >> 15 & 15) > 9)
        x = x * 2621875623u + 20;
    else
        cells[30] += x ^= x >> 10;
    if (x < 1481884280u)
        x = x * 3333759807u + 21;
    else
        cells[55] += x ^= x >> 1;
    if ((x >> 18 & 15) > 7)
        x = x * 2924543237u + 22;
    else
        cells[60] += x ^= x >> 8;
    if (x >> 11 & 1)
        x = x * 959796925u + 23;
    else
        cells[12] += x ^= x >> 1;
    if ((x ^ cells[11]) & 1048576u)
        x = x * 29520071u + 24;
    else
        cells[11] += x ^= x >> 1;
    if ((x ^ cells[53]) & 262144u)
        x = x * 3259730995u + 25;
    else
        cells[53] += x ^= x >> 3;
    if (x < 1537182063u)
        x = x * 2621705837u + 26;
    else
        cells[9] += x ^= x >> 14;
    if (x >> 15 & 1)
        x = x * 3221831925u + 27;
    else
        cells[31] += x ^= x >> 4;
    if (x >> 27 & 1)
        x = x * 1911968229u + 28;
    else
        cells[33] += x ^= x >> 3;
    if ((x >> 9 & 15) > 7)
        x = x * 2772517373u + 29;
    else
        cells[2] += x ^= x >> 8;
    if (x >> 18 & 1)
        x = x * 975616863u + 30;
    else
        cells[25] += x ^= x >> 5;
    if (x < 2730120402u)
        x = x * 107441267u + 31;
    else
        cells[39] += x ^= x >> 8;
    if ((x >> 20 & 15) > 3)
        x = x * 3374025443u + 32;
    else
        cells[0] += x ^= x >> 4;
    if (x < 4037677082u)
        x = x * 2627528863u + 33;
    else
        cells[24] += x ^= x >> 2;
    if ((x >> 10 & 15) > 0)
        x = x * 1248088401u + 34;
    else
        cells[54] += x ^= x >> 1;
    if (x < 3212724368u)
        x = x * 223519661u + 35;
    else
        cells[62] += x ^= x >> 2;
    if ((x ^ cells[12]) & 4u)
        x = x * 3442553535u + 36;
    else
        cells[12] += x ^= x >> 7;
    if ((x ^ cells[28]) & 16u)
        x = x * 3368989211u + 37;
    else
        cells[28] += x ^= x >> 2;
    if (x >> 24 & 1)
        x = x * 4123394937u + 38;
    else
        cells[44] += x ^= x >> 8;
    if (x < 525033931u)
        x = x * 19557415u + 39;
    else
        cells[17] += x ^= x >> 4;
    if ((x >> 23 & 15) > 14)
        x = x * 1142275093u + 40;
    else
        cells[63] += x ^= x >> 15;
    if ((x >> 22 & 15) > 7)
        x = x * 1076479319u + 41;
    else
        cells[22] += x ^= x >> 8;
    if (x < 768864335u)
        x = x * 667249647u + 42;
    else
        cells[50] += x ^= x >> 1;
    if (x >> 22 & 1)
        x = x * 2415050273u + 43;
    else
        cells[58] += x ^= x >> 3;
    if ((x >> 23 & 15) > 13)
        x = x * 1299307459u + 44;
    else
        cells[39] += x ^= x >> 14;
    if (x < 1934328489u)
        x = x * 2707220783u + 45;
    else
        cells[51] += x ^= x >> 8;
    if (x < 2383750847u)
        x = x * 2286503365u + 46;
    else
        cells[29] += x ^= x >> 3;
    if ((x ^ cells[10]) & 4194304u)
        x = x * 1307728403u + 47;
    else
        cells[10] += x ^= x >> 2;
    if ((x ^ cells[61]) & 128u)
        x = x * 143173607u + 48;
    else
        cells[61] += x ^= x >> 12;
    if (x < 2876889691u)
        x = x * 1292651965u + 49;
    else
        cells[32] += x ^= x >> 2;
    if ((x >> 8 & 15) > 1)
        x = x * 959735703u + 50;
    else
        cells[21] += x ^= x >> 2;
    if (x < 568093162u)
        x = x * 187891851u + 51;
    else
        cells[59] += x ^= x >> 8;
    if ((x >> 8 & 15) > 2)
        x = x * 649028899u + 52;
    else
        cells[7] += x ^= x >> 3;
    if ((x ^ cells[42]) & 512u)
        x = x * 1966642907u + 53;
    else
        cells[42] += x ^= x >> 4;
    if (x >> 19 & 1)
        x = x * 2144991849u + 54;
    else
        cells[34] += x ^= x >> 5;
    if ((x ^ cells[25]) & 2048u)
        x = x * 3304068233u + 55;
    else
        cells[25] += x ^= x >> 10;
    if (x < 2180549932u)
        x = x * 543168639u + 56;
    else
        cells[41] += x ^= x >> 9;
    if ((x >> 20 & 15) > 12)
        x = x * 3350590927u + 57;
    else
        cells[8] += x ^= x >> 13;
    if ((x >> 14 & 15) > 3)
        x = x * 909654871u + 58;
    else
        cells[31] += x ^= x >> 4;
    if (x >> 13 & 1)
        x = x * 3078733871u + 59;
    else
        cells[44] += x ^= x >> 9;
    if (x >> 11 & 1)
        x = x * 2070979665u + 60;
    else
        cells[13] += x ^= x >> 6;
    if (x >> 26 & 1)
        x = x * 2722806865u + 61;
    else
        cells[48] += x ^= x >> 10;
    if ((x ^ cells[14]) & 134217728u)
        x = x * 1007571891u + 62;
    else
        cells[14] += x ^= x >> 11;
    if (x < 2758154113u)
        x = x * 2188392435u + 63;
    else
        cells[52] += x ^= x >> 2;
    if ((x >> 1 & 15) > 9)
        x = x * 878739263u + 64;
    else
        cells[60] += x ^= x >> 10;
    if (x >> 21 & 1)
        x = x * 851025175u + 65;
    else
        cells[59] += x ^= x >> 1;
    if ((x >> 24 & 15) > 10)
        x = x * 3472659493u + 66;
    else
        cells[24] += x ^= x >> 11;
    if (x >> 9 & 1)
        x = x * 322092723u + 67;
    else
        cells[0] += x ^= x >> 9;
    if (x >> 27 & 1)
        x = x * 1721093399u + 68;
    else
        cells[12] += x ^= x >> 3;
    if (x < 3108015255u)
        x = x * 3713833767u + 69;
    else
        cells[27] += x ^= x >> 14;
    if (x < 678897511u)
        x = x * 181363809u + 70;
    else
        cells[33] += x ^= x >> 11;
    if ((x >> 11 & 15) > 8)
        x = x * 1492667027u + 71;
    else
        cells[39] += x ^= x >> 9;
    if (x >> 21 & 1)
        x = x * 3124928863u + 72;
    else
        cells[42] += x ^= x >> 8;
    if ((x >> 14 & 15) > 3)
        x = x * 3606710925u + 73;
    else
        cells[24] += x ^= x >> 4;
    if ((x ^ cells[54]) & 33554432u)
        x = x * 1415067621u + 74;
    else
        cells[54] += x ^= x >> 12;
    if ((x >> 2 & 15) > 11)
        x = x * 285413469u + 75;
    else
        cells[24] += x ^= x >> 12;
    if ((x >> 9 & 15) > 11)
        x = x * 2762257453u + 76;
    else
        cells[29] += x ^= x >> 12;
    if ((x ^ cells[25]) & 64u)
        x = x * 3987692861u + 77;
    else
        cells[25] += x ^= x >> 2;
    if ((x ^ cells[3]) & 1048576u)
        x = x * 557930703u + 78;
    else
        cells[3] += x ^= x >> 3;
    if (x >> 27 & 1)
        x = x * 1243141925u + 79;
    else
        cells[26] += x ^= x >> 6;
    if ((x ^ cells[60]) & 2048u)
        x = x * 4256451411u + 80;
    else
        cells[60] += x ^= x >> 9;
    if (x < 2455005435u)
        x = x * 25025717u + 81;
    else
        cells[0] += x ^= x >> 7;
    if (x < 3838132714u)
        x = x * 3024695109u + 82;
    else
        cells[53] += x ^= x >> 1;
    if (x < 456124372u)
        x = x * 2338032479u + 83;
    else
        cells[39] += x ^= x >> 6;
    if (x < 2596092450u)
        x = x * 184518267u + 84;
    else
        cells[3] += x ^= x >> 13;
    if (x < 92666726u)
        x = x * 167290667u + 85;
    else
        cells[36] += x ^= x >> 3;
    if ((x >> 1 & 15) > 12)
        x = x * 2158537043u + 86;
    else
        cells[51] += x ^= x >> 13;
    if ((x >> 13 & 15) > 0)
        x = x * 3438244901u + 87;
    else
        cells[49] += x ^= x >> 1;
    if (x < 320677073u)
        x = x * 3597901721u + 88;
    else
        cells[24] += x ^= x >> 6;
    if (x >> 13 & 1)
        x = x * 1160775867u + 89;
    else
        cells[40] += x ^= x >> 7;
    if (x < 1351645062u)
        x = x * 2445089443u + 90;
    else
        cells[55] += x ^= x >> 7;
    if ((x ^ cells[62]) & 1048576u)
        x = x * 1943491741u + 91;
    else
        cells[62] += x ^= x >> 9;
    if (x < 2308515116u)
        x = x * 3431182521u + 92;
    else
        cells[19] += x ^= x >> 9;
    if (x < 3169963321u)
        x = x * 2695235429u + 93;
    else
        cells[33] += x ^= x >> 1;
    if (x >> 18 & 1)
        x = x * 668719951u + 94;
    else
        cells[22] += x ^= x >> 7;
    if (x < 3888688765u)
        x = x * 1632976607u + 95;
    else
        cells[24] += x ^= x >> 11;
    if ((x ^ cells[16]) & 524288u)
        x = x * 2920503389u + 96;
    else
        cells[16] += x ^= x >> 6;
    if (x >> 13 & 1)
        x = x * 1463452281u + 97;
    else
        cells[2] += x ^= x >> 2;
    if ((x ^ cells[46]) & 262144u)
        x = x * 4039519305u + 98;
    else
        cells[46] += x ^= x >> 2;
    if ((x ^ cells[55]) & 4194304u)
        x = x * 520619403u + 99;
    else
        cells[55] += x ^= x >> 10;
    if ((x ^ cells[15]) & 32768u)
        x = x * 341792563u + 100;
    else
        cells[15] += x ^= x >> 4;
    if ((x >> 16 & 15) > 1)
        x = x * 2648193421u + 101;
    else
        cells[56] += x ^= x >> 2;
    if ((x ^ cells[21]) & 2048u)
        x = x * 2810820967u + 102;
    else
        cells[21] += x ^= x >> 11;
    if (x < 1820302017u)
        x = x * 2764599703u + 103;
    else
        cells[42] += x ^= x >> 7;
    if ((x >> 3 & 15) > 0)
        x = x * 157923309u + 104;
    else
        cells[38] += x ^= x >> 1;
    if (x < 835198649u)
        x = x * 1608570933u + 105;
    else
        cells[39] += x ^= x >> 12;
    if ((x >> 16 & 15) > 11)
        x = x * 3026596215u + 106;
    else
        cells[18] += x ^= x >> 12;
    if ((x ^ cells[43]) & 64u)
        x = x * 3422181729u + 107;
    else
        cells[43] += x ^= x >> 11;
    if (x < 2206521702u)
        x = x * 3960342233u + 108;
    else
        cells[50] += x ^= x >> 3;
    if (x >> 4 & 1)
        x = x * 2294047715u + 109;
    else
        cells[2] += x ^= x >> 7;
    if ((x ^ cells[63]) & 33554432u)
        x = x * 2255647239u + 110;
    else
        cells[63] += x ^= x >> 5;
    if (x >> 14 & 1)
        x = x * 3630675095u + 111;
    else
        cells[13] += x ^= x >> 7;
    if ((x ^ cells[47]) & 8192u)
        x = x * 2374778137u + 112;
    else
        cells[47] += x ^= x >> 12;
    if (x < 583703401u)
        x = x * 2395107225u + 113;
    else
        cells[33] += x ^= x >> 8;
    if ((x ^ cells[60]) & 262144u)
        x = x * 4290067359u + 114;
    else
        cells[60] += x ^= x >> 10;
    if ((x ^ cells[19]) & 4194304u)
        x = x * 3915907079u + 115;
    else
        cells[19] += x ^= x >> 2;
    if (x >> 19 & 1)
        x = x * 2258490691u + 116;
    else
        cells[24] += x ^= x >> 9;
    if ((x ^ cells[33]) & 8388608u)
        x = x * 2595287015u + 117;
    else
        cells[33] += x ^= x >> 1;
    if (x < 3653339125u)
        x = x * 646839279u + 118;
    else
        cells[55] += x ^= x >> 9;
    if (x >> 2 & 1)
        x = x * 420937097u + 119;
    else
        cells[26] += x ^= x >> 9;
    if (x < 950085770u)
        x = x * 2780664615u + 120;
    else
        cells[43] += x ^= x >> 14;
    if (x < 2146996827u)
        x = x * 3202482939u + 121;
    else
        cells[36] += x ^= x >> 13;
    if (x < 2347261079u)
        x = x * 2712666529u + 122;
    else
        cells[34] += x ^= x >> 15;
    if ((x ^ cells[51]) & 256u)
        x = x * 3433300241u + 123;
    else
        cells[51] += x ^= x >> 1;
    if ((x ^ cells[39]) & 16u)
        x = x * 3299846537u + 124;
    else
        cells[39] += x ^= x >> 6;
    if (x >> 25 & 1)
        x = x * 854628743u + 125;
    else
        cells[38] += x ^= x >> 10;
    if ((x >> 20 & 15) > 5)
        x = x * 1373552683u + 126;
    else
        cells[39] += x ^= x >> 6;
    if (x < 1285697355u)
        x = x * 2315162809u + 127;
    else
        cells[12] += x ^= x >> 9;
    if ((x ^ cells[62]) & 16u)
        x = x * 3934183425u + 128;
    else
        cells[62] += x ^= x >> 14;
    if ((x ^ cells[46]) & 2048u)
        x = x * 657133693u + 129;
    else
        cells[46] += x ^= x >> 4;
    if ((x >> 14 & 15) > 10)
        x = x * 2213892263u + 130;
    else
        cells[55] += x ^= x >> 11;
    if (x >> 8 & 1)
        x = x * 2521163103u + 131;
    else
        cells[40] += x ^= x >> 11;
    if ((x >> 26 & 15) > 10)
        x = x * 3831376809u + 132;
    else
        cells[29] += x ^= x >> 11;
    if (x >> 13 & 1)
        x = x * 3410230627u + 133;
    else
        cells[20] += x ^= x >> 8;
    if (x >> 9 & 1)
        x = x * 2443535607u + 134;
    else
        cells[42] += x ^= x >> 2;
    if (x >> 7 & 1)
        x = x * 1339570553u + 135;
    else
        cells[2] += x ^= x >> 7;
    if ((x ^ cells[14]) & 2097152u)
        x = x * 139341303u + 136;
    else
        cells[14] += x ^= x >> 7;
    if ((x ^ cells[15]) & 131072u)
        x = x * 2690587239u + 137;
    else
        cells[15] += x ^= x >> 8;
    if ((x >> 23 & 15) > 9)
        x = x * 2426470075u + 138;
    else
        cells[0] += x ^= x >> 10;
    if ((x >> 21 & 15) > 13)
        x = x * 4106214659u + 139;
    else
        cells[12] += x ^= x >> 14;
    if ((x >> 6 & 15) > 7)
        x = x * 3054009555u + 140;
    else
        cells[59] += x ^= x >> 8;
    if (x >> 16 & 1)
        x = x * 2383758815u + 141;
    else
        cells[41] += x ^= x >> 7;
    if ((x ^ cells[15]) & 4096u)
        x = x * 3958712401u + 142;
    else
        cells[15] += x ^= x >> 7;
    if ((x ^ cells[41]) & 2u)
        x = x * 1050258573u + 143;
    else
        cells[41] += x ^= x >> 2;
    if ((x >> 0 & 15) > 12)
        x = x * 4150945269u + 144;
    else
        cells[63] += x ^= x >> 13;
    if ((x >> 20 & 15) > 4)
        x = x * 495150369u + 145;
    else
        cells[19] += x ^= x >> 5;
    if ((x ^ cells[7]) & 134217728u)
        x = x * 3118256751u + 146;
    else
        cells[7] += x ^= x >> 2;
    if (x >> 20 & 1)
        x = x * 59847429u + 147;
    else
        cells[29] += x ^= x >> 12;
    if ((x ^ cells[32]) & 16384u)
        x = x * 2048563427u + 148;
    else
        cells[32] += x ^= x >> 12;
    if (x >> 8 & 1)
        x = x * 441479903u + 149;
    else
        cells[59] += x ^= x >> 12;
    if ((x >> 22 & 15) > 3)
        x = x * 286659073u + 150;
    else
        cells[11] += x ^= x >> 4;
    if ((x ^ cells[37]) & 16u)
        x = x * 2099643475u + 151;
    else
        cells[37] += x ^= x >> 7;
    if ((x ^ cells[6]) & 67108864u)
        x = x * 2613573457u + 152;
    else
        cells[6] += x ^= x >> 10;
    if (x >> 23 & 1)
        x = x * 2914814725u + 153;
    else
        cells[42] += x ^= x >> 6;
    if ((x >> 2 & 15) > 11)
        x = x * 2003001977u + 154;
    else
        cells[15] += x ^= x >> 12;
    if (x >> 21 & 1)
        x = x * 2784955671u + 155;
    else
        cells[56] += x ^= x >> 10;
    if ((x ^ cells[11]) & 256u)
        x = x * 3448063139u + 156;
    else
        cells[11] += x ^= x >> 13;
    if ((x >> 13 & 15) > 12)
        x = x * 491048893u + 157;
    else
        cells[5] += x ^= x >> 13;
    if (x >> 19 & 1)
        x = x * 1233527871u + 158;
    else
        cells[62] += x ^= x >> 11;
    if ((x ^ cells[39]) & 1u)
        x = x * 140743491u + 159;
    else
        cells[39] += x ^= x >> 3;
    if (x < 635231168u)
        x = x * 1454029295u + 160;
    else
        cells[36] += x ^= x >> 6;
    if ((x ^ cells[17]) & 4u)
        x = x * 3801534641u + 161;
    else
        cells[17] += x ^= x >> 1;
    if (x < 236666006u)
        x = x * 1345113957u + 162;
    else
        cells[4] += x ^= x >> 8;
    if (x >> 7 & 1)
        x = x * 2206947871u + 163;
    else
        cells[58] += x ^= x >> 2;
    if ((x ^ cells[59]) & 64u)
        x = x * 275183505u + 164;
    else
        cells[59] += x ^= x >> 12;
    if (x < 1467802905u)
        x = x * 1017903949u + 165;
    else
        cells[13] += x ^= x >> 8;
    if (x < 1470421789u)
        x = x * 3237647865u + 166;
    else
        cells[59] += x ^= x >> 5;
    if (x < 122500799u)
        x = x * 1645433097u + 167;
    else
        cells[16] += x ^= x >> 10;
    if (x >> 20 & 1)
        x = x * 184668017u + 168;
    else
        cells[39] += x ^= x >> 11;
    if ((x >> 21 & 15) > 5)
        x = x * 2768037093u + 169;
    else
        cells[53] += x ^= x >> 6;
    if ((x >> 1 & 15) > 1)
        x = x * 561839351u + 170;
    else
        cells[39] += x ^= x >> 2;
    if (x < 3067856726u)
        x = x * 1165927647u + 171;
    else
        cells[44] += x ^= x >> 7;
    if (x >> 24 & 1)
        x = x * 948844249u + 172;
    else
        cells[19] += x ^= x >> 10;
    if (x < 2718108378u)
        x = x * 2088414997u + 173;
    else
        cells[24] += x ^= x >> 5;
    if ((x ^ cells[1]) & 64u)
        x = x * 2795673071u + 174;
    else
        cells[1] += x ^= x >> 5;
    if ((x ^ cells[43]) & 67108864u)
        x = x * 2094545551u + 175;
    else
        cells[43] += x ^= x >> 11;
    if (x < 767870493u)
        x = x * 3998326331u + 176;
    else
        cells[48] += x ^= x >> 3;
    if (x < 3871221648u)
        x = x * 3617893833u + 177;
    else
        cells[6] += x ^= x >> 5;
    if (x < 3769774870u)
        x = x * 3554562953u + 178;
    else
        cells[63] += x ^= x >> 6;
    if ((x ^ cells[56]) & 2048u)
        x = x * 3299617205u + 179;
    else
        cells[56] += x ^= x >> 13;
    if ((x >> 5 & 15) > 12)
        x = x * 2740014843u + 180;
    else
        cells[60] += x ^= x >> 13;
    if (x < 3287237645u)
        x = x * 3459956003u + 181;
    else
        cells[13] += x ^= x >> 11;
    if (x < 4242352605u)
        x = x * 1735336505u + 182;
    else
        cells[13] += x ^= x >> 7;
    if ((x >> 25 & 15) > 7)
        x = x * 2252427989u + 183;
    else
        cells[57] += x ^= x >> 8;
    if (x < 368594190u)
        x = x * 1804804043u + 184;
    else
        cells[31] += x ^= x >> 9;
    if (x >> 20 & 1)
        x = x * 2528269407u + 185;
    else
        cells[35] += x ^= x >> 13;
    if ((x ^ cells[14]) & 16777216u)
        x = x * 2935954141u + 186;
    else
        cells[14] += x ^= x >> 1;
    if (x >> 20 & 1)
        x = x * 2987359657u + 187;
    else
        cells[21] += x ^= x >> 15;
    if (x >> 7 & 1)
        x = x * 3520777763u + 188;
    else
        cells[44] += x ^= x >> 15;
    if ((x ^ cells[16]) & 64u)
        x = x * 1931917791u + 189;
    else
        cells[16] += x ^= x >> 4;
    if (x >> 1 & 1)
        x = x * 262283645u + 190;
    else
        cells[58] += x ^= x >> 14;
    if ((x ^ cells[0]) & 1u)
        x = x * 1123853855u + 191;
    else
        cells[0] += x ^= x >> 15;
    if ((x ^ cells[53]) & 256u)
        x = x * 2619013213u + 192;
    else
        cells[53] += x ^= x >> 9;
    if ((x >> 18 & 15) > 0)
        x = x * 228592989u + 193;
    else
        cells[57] += x ^= x >> 1;
    if (x >> 27 & 1)
        x = x * 3484214397u + 194;
    else
        cells[44] += x ^= x >> 10;
    if (x >> 13 & 1)
        x = x * 783874385u + 195;
    else
        cells[24] += x ^= x >> 9;
    if (x < 464279743u)
        x = x * 300568727u + 196;
    else
        cells[42] += x ^= x >> 9;
    if (x >> 10 & 1)
        x = x * 2108183229u + 197;
    else
        cells[35] += x ^= x >> 11;
    if ((x ^ cells[50]) & 2048u)
        x = x * 3464043505u + 198;
    else
        cells[50] += x ^= x >> 9;
    if (x < 184173925u)
        x = x * 1036963329u + 199;
    else
        cells[39] += x ^= x >> 4;
    if (x >> 17 & 1)
        x = x * 1193361495u + 200;
    else
        cells[2] += x ^= x >> 9;
    if ((x >> 10 & 15) > 11)
        x = x * 4231335989u + 201;
    else
        cells[44] += x ^= x >> 12;
    if ((x ^ cells[27]) & 1048576u)
        x = x * 3822283795u + 202;
    else
        cells[27] += x ^= x >> 15;
    if (x < 4037452094u)
        x = x * 541790299u + 203;
    else
        cells[58] += x ^= x >> 3;
    if (x >> 6 & 1)
        x = x * 1665754289u + 204;
    else
        cells[30] += x ^= x >> 5;
    if ((x ^ cells[47]) & 4096u)
        x = x * 1192956247u + 205;
    else
        cells[47] += x ^= x >> 14;
    if ((x >> 19 & 15) > 4)
        x = x * 1587586879u + 206;
    else
        cells[61] += x ^= x >> 5;
    if (x >> 1 & 1)
        x = x * 3369132359u + 207;
    else
        cells[27] += x ^= x >> 13;
    if ((x ^ cells[11]) & 262144u)
        x = x * 3882898895u + 208;
    else
        cells[11] += x ^= x >> 4;
    if ((x >> 19 & 15) > 3)
        x = x * 921489273u + 209;
    else
        cells[56] += x ^= x >> 4;
    if (x < 2427280768u)
        x = x * 2365740603u + 210;
    else
        cells[24] += x ^= x >> 7;
    if (x < 1325491807u)
        x = x * 3248459781u + 211;
    else
        cells[10] += x ^= x >> 10;
    if ((x ^ cells[2]) & 256u)
        x = x * 2399237937u + 212;
    else
        cells[2] += x ^= x >> 9;
    if ((x ^ cells[14]) & 2048u)
        x = x * 3587247623u + 213;
    else
        cells[14] += x ^= x >> 12;
    if ((x ^ cells[59]) & 32u)
        x = x * 513851381u + 214;
    else
        cells[59] += x ^= x >> 11;
    if (x < 3161159864u)
        x = x * 3932370171u + 215;
    else
        cells[37] += x ^= x >> 13;
    if (x >> 5 & 1)
        x = x * 2713462971u + 216;
    else
        cells[46] += x ^= x >> 8;
    if (x < 1811767999u)
        x = x * 2794782735u + 217;
    else
        cells[37] += x ^= x >> 3;
    if (x >> 15 & 1)
        x = x * 1248441723u + 218;
    else
        cells[57] += x ^= x >> 11;
    if (x < 936967443u)
        x = x * 2967625871u + 219;
    else
        cells[54] += x ^= x >> 4;
    if (x < 3534410567u)
        x = x * 2562786833u + 220;
    else
        cells[16] += x ^= x >> 9;
    if (x < 933528593u)
        x = x * 50199911u + 221;
    else
        cells[47] += x ^= x >> 15;
    if ((x >> 22 & 15) > 9)
        x = x * 2351429087u + 222;
    else
        cells[49] += x ^= x >> 10;
    if ((x >> 2 & 15) > 10)
        x = x * 3277886855u + 223;
    else
        cells[46] += x ^= x >> 11;
    if (x < 713545059u)
        x = x * 3758979977u + 224;
    else
        cells[23] += x ^= x >> 13;
    if ((x >> 17 & 15) > 0)
        x = x * 364365319u + 225;
    else
        cells[60] += x ^= x >> 1;
    if ((x >> 26 & 15) > 2)
        x = x * 511038261u + 226;
    else
        cells[29] += x ^= x >> 3;
    if (x >> 5 & 1)
        x = x * 3251566423u + 227;
    else
        cells[37] += x ^= x >> 15;
    if ((x >> 18 & 15) > 2)
        x = x * 2316544591u + 228;
    else
        cells[34] += x ^= x >> 3;
    if ((x >> 17 & 15) > 5)
        x = x * 3735475579u + 229;
    else
        cells[31] += x ^= x >> 6;
    if (x >> 15 & 1)
        x = x * 2558454041u + 230;
    else
        cells[23] += x ^= x >> 7;
    if ((x ^ cells[12]) & 32u)
        x = x * 3896137165u + 231;
    else
        cells[12] += x ^= x >> 8;
    if ((x ^ cells[3]) & 1024u)
        x = x * 1402472885u + 232;
    else
        cells[3] += x ^= x >> 14;
    if (x >> 16 & 1)
        x = x * 2098667155u + 233;
    else
        cells[48] += x ^= x >> 9;
    if (x >> 12 & 1)
        x = x * 2912114667u + 234;
    else
        cells[61] += x ^= x >> 7;
    if (x < 2530404950u)
        x = x * 2350793503u + 235;
    else
        cells[32] += x ^= x >> 4;
    if (x < 4149545245u)
        x = x * 949688207u + 236;
    else
        cells[58] += x ^= x >> 7;
    if ((x >> 23 & 15) > 11)
        x = x * 50594297u + 237;
    else
        cells[5] += x ^= x >> 12;
    if (x >> 18 & 1)
        x = x * 1304027477u + 238;
    else
        cells[28] += x ^= x >> 1;
    if ((x ^ cells[19]) & 524288u)
        x = x * 1921158095u + 239;
    else
        cells[19] += x ^= x >> 2;
    if (x >> 16 & 1)
        x = x * 2513559177u + 240;
    else
        cells[41] += x ^= x >> 13;
    if ((x ^ cells[10]) & 512u)
        x = x * 3201870343u + 241;
    else
        cells[10] += x ^= x >> 3;
    if ((x ^ cells[44]) & 8u)
        x = x * 1720278399u + 242;
    else
        cells[44] += x ^= x >> 3;
    if ((x >> 5 & 15) > 2)
        x = x * 23657573u + 243;
    else
        cells[55] += x ^= x >> 3;
    if (x >> 2 & 1)
        x = x * 4194165515u + 244;
    else
        cells[37] += x ^= x >> 1;
    if (x < 2668498836u)
        x = x * 3392536835u + 245;
    else
        cells[41] += x ^= x >> 4;
    if (x >> 8 & 1)
        x = x * 1224057193u + 246;
    else
        cells[4] += x ^= x >> 3;
    if (x >> 14 & 1)
        x = x * 1201761379u + 247;
    else
        cells[52] += x ^= x >> 9;
    if ((x ^ cells[35]) & 256u)
        x = x * 216702683u + 248;
    else
        cells[35] += x ^= x >> 1;
    if ((x >> 24 & 15) > 12)
        x = x * 2765512725u + 249;
    else
        cells[31] += x ^= x >> 13;
    if ((x >> 11 & 15) > 1)
        x = x * 2423210497u + 250;
    else
        cells[22] += x ^= x >> 2;
    if (x >> 19 & 1)
        x = x * 2432366951u + 251;
    else
        cells[45] += x ^= x >> 11;
    if (x < 3375870428u)
        x = x * 3875719791u + 252;
    else
        cells[8] += x ^= x >> 4;
    if ((x >> 11 & 15) > 9)
        x = x * 2038243463u + 253;
    else
        cells[17] += x ^= x >> 10;
    if (x >> 0 & 1)
        x = x * 2678039235u + 254;
    else
        cells[32] += x ^= x >> 3;
    if ((x >> 0 & 15) > 4)
        x = x * 1460039347u + 255;
    else
        cells[59] += x ^= x >> 5;
    if ((x ^ cells[27]) & 8388608u)
        x = x * 1651951343u + 256;
    else
        cells[27] += x ^= x >> 8;
    if (x < 2599557797u)
        x = x * 4158903663u + 257;
    else
        cells[41] += x ^= x >> 10;
    if (x >> 15 & 1)
        x = x * 3578751953u + 258;
    else
        cells[10] += x ^= x >> 11;
    if (x < 73240755u)
        x = x * 3392393087u + 259;
    else
        cells[49] += x ^= x >> 9;
    if (x >> 0 & 1)
        x = x * 1234020005u + 260;
    else
        cells[41] += x ^= x >> 13;
    if (x >> 26 & 1)
        x = x * 1090773399u + 261;
    else
        cells[47] += x ^= x >> 5;
    if ((x ^ cells[61]) & 2048u)
        x = x * 1907251001u + 262;
    else
        cells[61] += x ^= x >> 10;
    if (x < 2173389677u)
        x = x * 814275161u + 263;
    else
        cells[25] += x ^= x >> 11;
    if (x < 865654495u)
        x = x * 3446239069u + 264;
    else
        cells[28] += x ^= x >> 14;
    if (x >> 26 & 1)
        x = x * 233315147u + 265;
    else
        cells[43] += x ^= x >> 6;
    if ((x >> 4 & 15) > 2)
        x = x * 1396168089u + 266;
    else
        cells[26] += x ^= x >> 3;
    if (x >> 23 & 1)
        x = x * 4048956555u + 267;
    else
        cells[40] += x ^= x >> 1;
    if (x >> 0 & 1)
        x = x * 2868572401u + 268;
    else
        cells[2] += x ^= x >> 1;
    if ((x ^ cells[45]) & 1024u)
        x = x * 976628171u + 269;
    else
        cells[45] += x ^= x >> 10;
    if (x >> 1 & 1)
        x = x * 1334788069u + 270;
    else
        cells[61] += x ^= x >> 13;
    if ((x >> 21 & 15) > 0)
        x = x * 278324489u + 271;
    else
        cells[18] += x ^= x >> 1;
    if ((x >> 20 & 15) > 10)
        x = x * 1031399757u + 272;
    else
        cells[5] += x ^= x >> 11;
    if ((x >> 10 & 15) > 13)
        x = x * 1099730799u + 273;
    else
        cells[63] += x ^= x >> 14;
    if (x >> 17 & 1)
        x = x * 425154821u + 274;
    else
        cells[62] += x ^= x >> 8;
    if ((x >> 23 & 15) > 3)
        x = x * 2977954225u + 275;
    else
        cells[53] += x ^= x >> 4;
    if (x >> 1 & 1)
        x = x * 957668713u + 276;
    else
        cells[52] += x ^= x >> 6;
    if (x >> 12 & 1)
        x = x * 1510863795u + 277;
    else
        cells[47] += x ^= x >> 9;
    if ((x ^ cells[8]) & 1u)
        x = x * 1848986297u + 278;
    else
        cells[8] += x ^= x >> 6;
    if ((x ^ cells[59]) & 1u)
        x = x * 2620784913u + 279;
    else
        cells[59] += x ^= x >> 10;
    if ((x ^ cells[8]) & 4096u)
        x = x * 3139993391u + 280;
    else
        cells[8] += x ^= x >> 11;
    if ((x ^ cells[52]) & 33554432u)
        x = x * 1179165u + 281;
    else
        cells[52] += x ^= x >> 11;
    if ((x >> 18 & 15) > 1)
        x = x * 1818075241u + 282;
    else
        cells[0] += x ^= x >> 2;
    if (x >> 0 & 1)
        x = x * 3741771985u + 283;
    else
        cells[63] += x ^= x >> 13;
    if ((x ^ cells[10]) & 4194304u)
        x = x * 2887135505u + 284;
    else
        cells[10] += x ^= x >> 6;
    if (x < 3137849236u)
        x = x * 697514333u + 285;
    else
        cells[33] += x ^= x >> 11;
    if ((x ^ cells[24]) & 1048576u)
        x = x * 3124065555u + 286;
    else
        cells[24] += x ^= x >> 9;
    if ((x >> 0 & 15) > 12)
        x = x * 1287899405u + 287;
    else
        cells[29] += x ^= x >> 13;
    if ((x >> 1 & 15) > 6)
        x = x * 3804709137u + 288;
    else
        cells[34] += x ^= x >> 7;
    if ((x >> 2 & 15) > 3)
        x = x * 174139787u + 289;
    else
        cells[3] += x ^= x >> 4;
    if (x < 3369293187u)
        x = x * 3369091485u + 290;
    else
        cells[44] += x ^= x >> 5;
    if (x < 2741815458u)
        x = x * 4003866831u + 291;
    else
        cells[49] += x ^= x >> 9;
    if ((x ^ cells[62]) & 8u)
        x = x * 740498055u + 292;
    else
        cells[62] += x ^= x >> 11;
    if (x >> 24 & 1)
        x = x * 3202814667u + 293;
    else
        cells[53] += x ^= x >> 8;
    if (x < 1840045358u)
        x = x * 3338672619u + 294;
    else
        cells[52] += x ^= x >> 7;
    if (x < 463325619u)
        x = x * 3665205457u + 295;
    else
        cells[38] += x ^= x >> 5;
    if (x >> 14 & 1)
        x = x * 406066283u + 296;
    else
        cells[23] += x ^= x >> 8;
    if (x >> 3 & 1)
        x = x * 4018273071u + 297;
    else
        cells[61] += x ^= x >> 3;
    if ((x ^ cells[61]) & 32u)
        x = x * 1992130149u + 298;
    else
        cells[61] += x ^= x >> 12;
    if (x < 1730033534u)
        x = x * 1052872549u + 299;
    else
        cells[19] += x ^= x >> 3;
    if ((x >> 16 & 15) > 8)
        x = x * 4078486099u + 300;
    else
        cells[58] += x ^= x >> 9;
    if (x >> 10 & 1)
        x = x * 3462587121u + 301;
    else
        cells[15] += x ^= x >> 4;
    if ((x >> 16 & 15) > 0)
        x = x * 2881400265u + 302;
    else
        cells[43] += x ^= x >> 1;
    if ((x ^ cells[41]) & 32u)
        x = x * 1932593613u + 303;
    else
        cells[41] += x ^= x >> 7;
    if ((x ^ cells[38]) & 16u)
        x = x * 2948076789u + 304;
    else
        cells[38] += x ^= x >> 4;
    if (x < 3687111231u)
        x = x * 3209838717u + 305;
    else
        cells[51] += x ^= x >> 11;
    if ((x >> 5 & 15) > 3)
        x = x * 4058018155u + 306;
    else
        cells[12] += x ^= x >> 4;
    if ((x >> 13 & 15) > 3)
        x = x * 2607364743u + 307;
    else
        cells[26] += x ^= x >> 4;
    if (x >> 16 & 1)
        x = x * 3488357557u + 308;
    else
        cells[41] += x ^= x >> 8;
    if (x < 1144170292u)
        x = x * 3515775559u + 309;
    else
        cells[36] += x ^= x >> 11;
    if (x < 3888550646u)
        x = x * 4035988869u + 310;
    else
        cells[20] += x ^= x >> 15;
    if ((x ^ cells[26]) & 512u)
        x = x * 3308227451u + 311;
    else
        cells[26] += x ^= x >> 11;
    if ((x >> 2 & 15) > 5)
        x = x * 1664733891u + 312;
    else
        cells[50] += x ^= x >> 6;
    if ((x ^ cells[37]) & 16777216u)
        x = x * 3942312473u + 313;
    else
        cells[37] += x ^= x >> 9;
    if (x < 1801987543u)
        x = x * 22809609u + 314;
    else
        cells[7] += x ^= x >> 12;
    if ((x ^ cells[50]) & 1048576u)
        x = x * 3808708079u + 315;
    else
        cells[50] += x ^= x >> 11;
    if ((x ^ cells[35]) & 2097152u)
        x = x * 277222537u + 316;
    else
        cells[35] += x ^= x >> 10;
    if (x < 2715751335u)
        x = x * 2750673325u + 317;
    else
        cells[47] += x ^= x >> 15;
    if ((x >> 21 & 15) > 9)
        x = x * 4102529551u + 318;
    else
        cells[44] += x ^= x >> 10;
    if ((x >> 27 & 15) > 4)
        x = x * 2593937547u + 319;
    else
        cells[12] += x ^= x >> 5;
    if (x >> 16 & 1)
        x = x * 3188535341u + 320;
    else
        cells[9] += x ^= x >> 11;
    if ((x >> 23 & 15) > 9)
        x = x * 310917945u + 321;
    else
        cells[47] += x ^= x >> 10;
    if (x >> 15 & 1)
        x = x * 3071810463u + 322;
    else
        cells[11] += x ^= x >> 8;
    if ((x >> 6 & 15) > 10)
        x = x * 4184094647u + 323;
    else
        cells[62] += x ^= x >> 11;
    if (x >> 2 & 1)
        x = x * 3210146531u + 324;
    else
        cells[38] += x ^= x >> 14;
    if (x < 3120456758u)
        x = x * 1272572815u + 325;
    else
        cells[26] += x ^= x >> 1;
    if ((x ^ cells[36]) & 67108864u)
        x = x * 4209232193u + 326;
    else
        cells[36] += x ^= x >> 11;
    if ((x >> 26 & 15) > 10)
        x = x * 1130648073u + 327;
    else
        cells[59] += x ^= x >> 11;
    if ((x >> 5 & 15) > 5)
        x = x * 3274033901u + 328;
    else
        cells[49] += x ^= x >> 6;
    if (x < 1212475656u)
        x = x * 1258538235u + 329;
    else
        cells[52] += x ^= x >> 4;
    if ((x >> 19 & 15) > 1)
        x = x * 2147412165u + 330;
    else
        cells[54] += x ^= x >> 2;
    if (x < 3626053510u)
        x = x * 208377073u + 331;
    else
        cells[10] += x ^= x >> 9;
    if (x >> 1 & 1)
        x = x * 3241029233u + 332;
    else
        cells[0] += x ^= x >> 1;
    if (x >> 7 & 1)
        x = x * 2488343817u + 333;
    else
        cells[17] += x ^= x >> 8;
    if ((x ^ cells[0]) & 16777216u)
        x = x * 2416097279u + 334;
    else
        cells[0] += x ^= x >> 4;
    if (x >> 6 & 1)
        x = x * 3207417661u + 335;
    else
        cells[24] += x ^= x >> 9;
    if ((x ^ cells[60]) & 8192u)
        x = x * 1349151547u + 336;
    else
        cells[60] += x ^= x >> 3;
    if ((x >> 13 & 15) > 5)
        x = x * 741767225u + 337;
    else
        cells[1] += x ^= x >> 6;
    if (x < 909158474u)
        x = x * 539048151u + 338;
    else
        cells[10] += x ^= x >> 1;
    if ((x >> 4 & 15) > 1)
        x = x * 3447421681u + 339;
    else
        cells[34] += x ^= x >> 2;
    if (x >> 24 & 1)
        x = x * 570895973u + 340;
    else
        cells[0] += x ^= x >> 13;
    if (x < 3782436310u)
        x = x * 3199045325u + 341;
    else
        cells[23] += x ^= x >> 14;
    if ((x ^ cells[12]) & 256u)
        x = x * 3697067381u + 342;
    else
        cells[12] += x ^= x >> 7;
    if (x < 705938492u)
        x = x * 1332813665u + 343;
    else
        cells[46] += x ^= x >> 10;
    if ((x >> 1 & 15) > 5)
        x = x * 1808882937u + 344;
    else
        cells[30] += x ^= x >> 6;
    if (x < 1826706472u)
        x = x * 2987479649u + 345;
    else
        cells[47] += x ^= x >> 10;
    if (x >> 2 & 1)
        x = x * 2032222993u + 346;
    else
        cells[17] += x ^= x >> 5;
    if (x >> 1 & 1)
        x = x * 2183304611u + 347;
    else
        cells[9] += x ^= x >> 4;
    if ((x ^ cells[26]) & 64u)
        x = x * 2696195619u + 348;
    else
        cells[26] += x ^= x >> 8;
    if (x >> 1 & 1)
        x = x * 2100260657u + 349;
    else
        cells[20] += x ^= x >> 9;
    if (x < 141989750u)
        x = x * 1272550291u + 350;
    else
        cells[39] += x ^= x >> 9;
    if (x < 3249586993u)
        x = x * 471880893u + 351;
    else
        cells[7] += x ^= x >> 5;
    if (x < 1339905224u)
        x = x * 1970625623u + 352;
    else
        cells[40] += x ^= x >> 2;
    if (x < 2600731575u)
        x = x * 843813409u + 353;
    else
        cells[7] += x ^= x >> 11;
    if (x < 4093222043u)
        x = x * 1927813525u + 354;
    else
        cells[25] += x ^= x >> 5;
    if (x >> 8 & 1)
        x = x * 3023622987u + 355;
    else
        cells[3] += x ^= x >> 12;
    if (x >> 26 & 1)
        x = x * 500980387u + 356;
    else
        cells[7] += x ^= x >> 11;
    if ((x ^ cells[21]) & 8u)
        x = x * 3390398525u + 357;
    else
        cells[21] += x ^= x >> 14;
    if (x < 4082878768u)
        x = x * 4143511653u + 358;
    else
        cells[63] += x ^= x >> 14;
    if ((x ^ cells[58]) & 32u)
        x = x * 70610091u + 359;
    else
        cells[58] += x ^= x >> 13;
    if ((x ^ cells[1]) & 1048576u)
        x = x * 1044885093u + 360;
    else
        cells[1] += x ^= x >> 1;
    if ((x >> 24 & 15) > 6)
        x = x * 4166928279u + 361;
    else
        cells[33] += x ^= x >> 7;
    if (x < 3442093172u)
        x = x * 2316132863u + 362;
    else
        cells[38] += x ^= x >> 10;
    if (x < 1960110007u)
        x = x * 2152903373u + 363;
    else
        cells[41] += x ^= x >> 8;
    if (x >> 26 & 1)
        x = x * 1743170389u + 364;
    else
        cells[51] += x ^= x >> 8;
    if (x < 675221799u)
        x = x * 2644900907u + 365;
    else
        cells[58] += x ^= x >> 7;
    if ((x ^ cells[9]) & 256u)
        x = x * 57693645u + 366;
    else
        cells[9] += x ^= x >> 4;
    if (x >> 18 & 1)
        x = x * 802212679u + 367;
    else
        cells[59] += x ^= x >> 3;
    if ((x ^ cells[30]) & 16u)
        x = x * 2160175525u + 368;
    else
        cells[30] += x ^= x >> 8;
    if (x >> 23 & 1)
        x = x * 411259319u + 369;
    else
        cells[13] += x ^= x >> 1;
    if (x < 3911173968u)
        x = x * 3238243713u + 370;
    else
        cells[57] += x ^= x >> 1;
    if (x < 1442502738u)
        x = x * 3992731571u + 371;
    else
        cells[54] += x ^= x >> 15;
    if (x < 1131778760u)
        x = x * 1257314163u + 372;
    else
        cells[60] += x ^= x >> 10;
    if (x < 554841743u)
        x = x * 1403720425u + 373;
    else
        cells[51] += x ^= x >> 6;
    if ((x >> 7 & 15) > 9)
        x = x * 1652383377u + 374;
    else
        cells[39] += x ^= x >> 10;
    if ((x ^ cells[58]) & 1024u)
        x = x * 3416557405u + 375;
    else
        cells[58] += x ^= x >> 1;
    if (x < 1377547866u)
        x = x * 2848434487u + 376;
    else
        cells[6] += x ^= x >> 11;
    if (x >> 23 & 1)
        x = x * 1765811679u + 377;
    else
        cells[3] += x ^= x >> 2;
    if (x < 3783629555u)
        x = x * 850531841u + 378;
    else
        cells[25] += x ^= x >> 2;
    if ((x ^ cells[47]) & 1024u)
        x = x * 3907531049u + 379;
    else
        cells[47] += x ^= x >> 8;
    if (x >> 13 & 1)
        x = x * 1922938067u + 380;
    else
        cells[49] += x ^= x >> 6;
    if ((x ^ cells[30]) & 32u)
        x = x * 3116388291u + 381;
    else
        cells[30] += x ^= x >> 15;
    if (x < 3130110410u)
        x = x * 706152707u + 382;
    else
        cells[24] += x ^= x >> 1;
    if ((x >> 8 & 15) > 5)
        x = x * 1177839327u + 383;
    else
        cells[9] += x ^= x >> 6;
    if ((x ^ cells[49]) & 4096u)
        x = x * 445319975u + 384;
    else
        cells[49] += x ^= x >> 8;
    if (x < 2388810439u)
        x = x * 367536515u + 385;
    else
        cells[15] += x ^= x >> 14;
    if ((x >> 7 & 15) > 3)
        x = x * 159559841u + 386;
    else
        cells[42] += x ^= x >> 4;
    if (x >> 27 & 1)
        x = x * 3925200429u + 387;
    else
        cells[52] += x ^= x >> 6;
    if ((x ^ cells[2]) & 8u)
        x = x * 3675727523u + 388;
    else
        cells[2] += x ^= x >> 10;
    if ((x >> 14 & 15) > 13)
        x = x * 2861768709u + 389;
    else
        cells[45] += x ^= x >> 14;
    if ((x ^ cells[21]) & 32768u)
        x = x * 1832666493u + 390;
    else
        cells[21] += x ^= x >> 6;
    if (x >> 2 & 1)
        x = x * 3004487229u + 391;
    else
        cells[20] += x ^= x >> 12;
    if (x >> 7 & 1)
        x = x * 1332160541u + 392;
    else
        cells[46] += x ^= x >> 1;
    if (x >> 17 & 1)
        x = x * 3083512891u + 393;
    else
        cells[28] += x ^= x >> 6;
    if (x >> 13 & 1)
        x = x * 1958465291u + 394;
    else
        cells[38] += x ^= x >> 8;
    if (x >> 1 & 1)
        x = x * 93106463u + 395;
    else
        cells[8] += x ^= x >> 4;
    if ((x >> 27 & 15) > 7)
        x = x * 2514233457u + 396;
    else
        cells[57] += x ^= x >> 8;
    if (x >> 6 & 1)
        x = x * 610435143u + 397;
    else
        cells[19] += x ^= x >> 1;
    if (x < 1374678718u)
        x = x * 1304126115u + 398;
    else
        cells[53] += x ^= x >> 6;
    if ((x >> 23 & 15) > 8)
        x = x * 3385792185u + 399;
    else
        cells[21] += x ^= x >> 9;
    if (x < 1593715326u)
        x = x * 907874041u + 400;
    else
        cells[24] += x ^= x >> 2;
    if ((x >> 6 & 15) > 4)
        x = x * 453631607u + 401;
    else
        cells[20] += x ^= x >> 5;
    if (x < 2324205809u)
        x = x * 3954714133u + 402;
    else
        cells[9] += x ^= x >> 11;
    if (x < 1947952880u)
        x = x * 583472341u + 403;
    else
        cells[58] += x ^= x >> 7;
    if (x < 1261655476u)
        x = x * 3241482551u + 404;
    else
        cells[62] += x ^= x >> 7;
    if (x < 3124699397u)
        x = x * 2643252219u + 405;
    else
        cells[35] += x ^= x >> 15;
    if ((x ^ cells[2]) & 2u)
        x = x * 446276141u + 406;
    else
        cells[2] += x ^= x >> 10;
    if (x < 3321000304u)
        x = x * 4223097845u + 407;
    else
        cells[16] += x ^= x >> 2;
    if (x >> 26 & 1)
        x = x * 617656199u + 408;
    else
        cells[22] += x ^= x >> 6;
    if ((x >> 4 & 15) > 0)
        x = x * 3473908737u + 409;
    else
        cells[39] += x ^= x >> 1;
    if ((x >> 5 & 15) > 10)
        x = x * 623883687u + 410;
    else
        cells[11] += x ^= x >> 11;
    if (x < 1378005387u)
        x = x * 3583836769u + 411;
    else
        cells[8] += x ^= x >> 5;
    if (x < 4121537068u)
        x = x * 2345411369u + 412;
    else
        cells[29] += x ^= x >> 6;
    if (x < 2133139195u)
        x = x * 3619073151u + 413;
    else
        cells[3] += x ^= x >> 2;
    if (x < 4046297198u)
        x = x * 281569009u + 414;
    else
        cells[58] += x ^= x >> 2;
    if (x >> 6 & 1)
        x = x * 1040712385u + 415;
    else
        cells[40] += x ^= x >> 5;
    if (x < 2467001008u)
        x = x * 130970611u + 416;
    else
        cells[11] += x ^= x >> 14;
    if (x < 527400615u)
        x = x * 487155155u + 417;
    else
        cells[43] += x ^= x >> 9;
    if (x < 900083717u)
        x = x * 1129371157u + 418;
    else
        cells[28] += x ^= x >> 3;
    if ((x >> 2 & 15) > 6)
        x = x * 3261617961u + 419;
    else
        cells[46] += x ^= x >> 7;
    if ((x >> 16 & 15) > 11)
        x = x * 3061716901u + 420;
    else
        cells[1] += x ^= x >> 12;
    if ((x >> 6 & 15) > 11)
        x = x * 2736607271u + 421;
    else
        cells[11] += x ^= x >> 12;
    if (x >> 23 & 1)
        x = x * 3348622353u + 422;
    else
        cells[59] += x ^= x >> 10;
    if (x < 296306135u)
        x = x * 935762759u + 423;
    else
        cells[49] += x ^= x >> 9;
    if (x >> 5 & 1)
        x = x * 2470317071u + 424;
    else
        cells[49] += x ^= x >> 6;
    if (x >> 10 & 1)
        x = x * 594728491u + 425;
    else
        cells[48] += x ^= x >> 9;
    if ((x >> 21 & 15) > 6)
        x = x * 2977248517u + 426;
    else
        cells[46] += x ^= x >> 7;
    if ((x ^ cells[32]) & 131072u)
        x = x * 480256427u + 427;
    else
        cells[32] += x ^= x >> 12;
    if ((x >> 26 & 15) > 7)
        x = x * 243850383u + 428;
    else
        cells[35] += x ^= x >> 8;
    if ((x >> 24 & 15) > 13)
        x = x * 3220640291u + 429;
    else
        cells[58] += x ^= x >> 14;
    if (x >> 11 & 1)
        x = x * 3545662097u + 430;
    else
        cells[51] += x ^= x >> 7;
    if ((x >> 25 & 15) > 11)
        x = x * 3987379549u + 431;
    else
        cells[61] += x ^= x >> 12;
    if ((x ^ cells[44]) & 4194304u)
        x = x * 851556279u + 432;
    else
        cells[44] += x ^= x >> 2;
    if (x >> 6 & 1)
        x = x * 1869468263u + 433;
    else
        cells[54] += x ^= x >> 9;
    if ((x >> 22 & 15) > 2)
        x = x * 3105366619u + 434;
    else
        cells[19] += x ^= x >> 3;
    if (x >> 21 & 1)
        x = x * 170691399u + 435;
    else
        cells[36] += x ^= x >> 2;
    if (x < 1791507492u)
        x = x * 3795578533u + 436;
    else
        cells[18] += x ^= x >> 6;
    if (x >> 16 & 1)
        x = x * 2729099489u + 437;
    else
        cells[58] += x ^= x >> 5;
    if ((x ^ cells[28]) & 1048576u)
        x = x * 591566971u + 438;
    else
        cells[28] += x ^= x >> 6;
    if (x < 3576094797u)
        x = x * 3708793723u + 439;
    else
        cells[43] += x ^= x >> 6;
    if (x < 2444970518u)
        x = x * 2645431645u + 440;
    else
        cells[30] += x ^= x >> 3;
    if ((x >> 27 & 15) > 9)
        x = x * 3676342867u + 441;
    else
        cells[38] += x ^= x >> 10;
    if ((x >> 8 & 15) > 1)
        x = x * 1847042759u + 442;
    else
        cells[32] += x ^= x >> 2;
    if ((x ^ cells[55]) & 131072u)
        x = x * 4189529221u + 443;
    else
        cells[55] += x ^= x >> 2;
    if (x < 1852621853u)
        x = x * 4086858433u + 444;
    else
        cells[32] += x ^= x >> 7;
    if (x >> 18 & 1)
        x = x * 2985087521u + 445;
    else
        cells[52] += x ^= x >> 10;
    if (x < 143670692u)
        x = x * 2135657207u + 446;
    else
        cells[29] += x ^= x >> 12;
    if ((x ^ cells[1]) & 8388608u)
        x = x * 2000337379u + 447;
    else
        cells[1] += x ^= x >> 1;
    if (x < 1857102641u)
        x = x * 2666020033u + 448;
    else
        cells[25] += x ^= x >> 13;
    if ((x ^ cells[8]) & 32u)
        x = x * 1796591071u + 449;
    else
        cells[8] += x ^= x >> 15;
    if (x >> 27 & 1)
        x = x * 2054665135u + 450;
    else
        cells[46] += x ^= x >> 9;
    if (x >> 24 & 1)
        x = x * 1939990593u + 451;
    else
        cells[20] += x ^= x >> 12;
    if ((x >> 19 & 15) > 0)
        x = x * 3133786827u + 452;
    else
        cells[2] += x ^= x >> 1;
    if (x < 3515701828u)
        x = x * 1972458763u + 453;
    else
        cells[18] += x ^= x >> 4;
    if ((x ^ cells[31]) & 524288u)
        x = x * 3799974913u + 454;
    else
        cells[31] += x ^= x >> 5;
    if (x >> 13 & 1)
        x = x * 3675334291u + 455;
    else
        cells[50] += x ^= x >> 9;
    if (x >> 2 & 1)
        x = x * 1195542933u + 456;
    else
        cells[13] += x ^= x >> 14;
    if ((x >> 27 & 15) > 5)
        x = x * 3704444689u + 457;
    else
        cells[6] += x ^= x >> 6;
    if (x < 1336093756u)
        x = x * 1021973713u + 458;
    else
        cells[40] += x ^= x >> 11;
    if (x >> 5 & 1)
        x = x * 1449176761u + 459;
    else
        cells[34] += x ^= x >> 11;
    if (x >> 25 & 1)
        x = x * 170107977u + 460;
    else
        cells[61] += x ^= x >> 10;
    if (x >> 0 & 1)
        x = x * 29591345u + 461;
    else
        cells[3] += x ^= x >> 6;
    if ((x >> 22 & 15) > 0)
        x = x * 3126057809u + 462;
    else
        cells[12] += x ^= x >> 1;
    if (x >> 26 & 1)
        x = x * 3152378647u + 463;
    else
        cells[53] += x ^= x >> 1;
    if (x < 3470692986u)
        x = x * 3039889393u + 464;
    else
        cells[22] += x ^= x >> 8;
    if (x < 1515306314u)
        x = x * 3656137509u + 465;
    else
        cells[1] += x ^= x >> 2;
    if ((x >> 21 & 15) > 9)
        x = x * 2892929483u + 466;
    else
        cells[1] += x ^= x >> 10;
    if ((x ^ cells[36]) & 2097152u)
        x = x * 3352847437u + 467;
    else
        cells[36] += x ^= x >> 6;
    if ((x >> 19 & 15) > 8)
        x = x * 4115865387u + 468;
    else
        cells[48] += x ^= x >> 9;
    if (x >> 23 & 1)
        x = x * 56003117u + 469;
    else
        cells[5] += x ^= x >> 14;
    if ((x >> 3 & 15) > 9)
        x = x * 2985317361u + 470;
    else
        cells[23] += x ^= x >> 10;
    if ((x >> 9 & 15) > 10)
        x = x * 2662042281u + 471;
    else
        cells[22] += x ^= x >> 11;
    if ((x >> 16 & 15) > 8)
        x = x * 2433996371u + 472;
    else
        cells[31] += x ^= x >> 9;
    if ((x >> 6 & 15) > 1)
        x = x * 2787541531u + 473;
    else
        cells[9] += x ^= x >> 2;
    if (x >> 26 & 1)
        x = x * 1925645095u + 474;
    else
        cells[23] += x ^= x >> 13;
    if (x < 1310438829u)
        x = x * 1968029675u + 475;
    else
        cells[19] += x ^= x >> 11;
    if ((x ^ cells[37]) & 16777216u)
        x = x * 3608723585u + 476;
    else
        cells[37] += x ^= x >> 7;
    if (x < 973165868u)
        x = x * 811007981u + 477;
    else
        cells[56] += x ^= x >> 4;
    if (x >> 18 & 1)
        x = x * 3561713643u + 478;
    else
        cells[48] += x ^= x >> 15;
    if (x >> 19 & 1)
        x = x * 3711656963u + 479;
    else
        cells[30] += x ^= x >> 5;
    if (x < 3187813323u)
        x = x * 3875601565u + 480;
    else
        cells[53] += x ^= x >> 13;
    if (x >> 23 & 1)
        x = x * 1934198609u + 481;
    else
        cells[33] += x ^= x >> 10;
    if ((x ^ cells[47]) & 1048576u)
        x = x * 3395642851u + 482;
    else
        cells[47] += x ^= x >> 1;
    if ((x ^ cells[42]) & 512u)
        x = x * 1655717839u + 483;
    else
        cells[42] += x ^= x >> 1;
    if ((x >> 4 & 15) > 7)
        x = x * 263774789u + 484;
    else
        cells[60] += x ^= x >> 8;
    if (x >> 13 & 1)
        x = x * 3390093105u + 485;
    else
        cells[43] += x ^= x >> 11;
    if ((x ^ cells[30]) & 524288u)
        x = x * 3113706099u + 486;
    else
        cells[30] += x ^= x >> 8;
    if (x >> 25 & 1)
        x = x * 1040532333u + 487;
    else
        cells[24] += x ^= x >> 15;
    if ((x ^ cells[35]) & 65536u)
        x = x * 1725541059u + 488;
    else
        cells[35] += x ^= x >> 15;
    if ((x >> 9 & 15) > 1)
        x = x * 1480034685u + 489;
    else
        cells[48] += x ^= x >> 2;
    if (x >> 5 & 1)
        x = x * 3944922097u + 490;
    else
        cells[63] += x ^= x >> 10;
    if ((x ^ cells[3]) & 4194304u)
        x = x * 4227967627u + 491;
    else
        cells[3] += x ^= x >> 10;
    if ((x >> 7 & 15) > 9)
        x = x * 100398199u + 492;
    else
        cells[12] += x ^= x >> 10;
    if ((x >> 13 & 15) > 12)
        x = x * 1620050141u + 493;
    else
        cells[24] += x ^= x >> 13;
    if ((x >> 17 & 15) > 7)
        x = x * 3285393967u + 494;
    else
        cells[36] += x ^= x >> 8;
    if ((x >> 14 & 15) > 14)
        x = x * 296331995u + 495;
    else
        cells[34] += x ^= x >> 15;
    if (x < 3274683333u)
        x = x * 1922585145u + 496;
    else
        cells[55] += x ^= x >> 5;
    if (x < 2993603856u)
        x = x * 2432687491u + 497;
    else
        cells[5] += x ^= x >> 9;
    if (x >> 4 & 1)
        x = x * 2251653719u + 498;
    else
        cells[40] += x ^= x >> 11;
    if (x >> 9 & 1)
        x = x * 1787518813u + 499;
    else
        cells[13] += x ^= x >> 9;
    if ((x >> 22 & 15) > 11)
        x = x * 3740848749u + 500;
    else
        cells[54] += x ^= x >> 12;
    if (x < 215329518u)
        x = x * 1402364797u + 501;
    else
        cells[0] += x ^= x >> 10;
    if (x < 2010379915u)
        x = x * 551571483u + 502;
    else
        cells[42] += x ^= x >> 10;
    if (x < 3263056261u)
        x = x * 166523749u + 503;
    else
        cells[36] += x ^= x >> 9;
    if ((x ^ cells[42]) & 67108864u)
        x = x * 3120881433u + 504;
    else
        cells[42] += x ^= x >> 1;
    if (x >> 22 & 1)
        x = x * 1179682867u + 505;
    else
        cells[57] += x ^= x >> 8;
    if (x >> 7 & 1)
        x = x * 309396979u + 506;
    else
        cells[53] += x ^= x >> 9;
    if ((x >> 20 & 15) > 6)
        x = x * 2296540997u + 507;
    else
        cells[33] += x ^= x >> 7;
    if (x >> 20 & 1)
        x = x * 883513861u + 508;
    else
        cells[48] += x ^= x >> 3;
    if ((x >> 25 & 15) > 2)
        x = x * 3945501319u + 509;
    else
        cells[27] += x ^= x >> 3;
    if ((x >> 22 & 15) > 10)
        x = x * 1418254921u + 510;
    else
        cells[9] += x ^= x >> 11;
    if ((x ^ cells[42]) & 256u)
        x = x * 1426678407u + 511;
    else
        cells[42] += x ^= x >> 12;
    if (x < 1161779796u)
        x = x * 3663490817u + 512;
    else
        cells[63] += x ^= x >> 3;
    if (x < 3298601548u)
        x = x * 1144299499u + 513;
    else
        cells[47] += x ^= x >> 1;
    if (x < 3856734666u)
        x = x * 2302158329u + 514;
    else
        cells[58] += x ^= x >> 15;
    if (x >> 3 & 1)
        x = x * 1205282491u + 515;
    else
        cells[58] += x ^= x >> 4;
    if (x >> 16 & 1)
        x = x * 3645576349u + 516;
    else
        cells[17] += x ^= x >> 13;
    if ((x >> 7 & 15) > 6)
        x = x * 3790341331u + 517;
    else
        cells[40] += x ^= x >> 7;
    if (x < 2845216073u)
        x = x * 1033768895u + 518;
    else
        cells[10] += x ^= x >> 2;
    if ((x ^ cells[21]) & 8388608u)
        x = x * 346152383u + 519;
    else
        cells[21] += x ^= x >> 6;
    if (x < 2541285275u)
        x = x * 1838683097u + 520;
    else
        cells[40] += x ^= x >> 2;
    if (x < 1211786593u)
        x = x * 248155883u + 521;
    else
        cells[32] += x ^= x >> 13;
    if ((x ^ cells[49]) & 1u)
        x = x * 1523001055u + 522;
    else
        cells[49] += x ^= x >> 7;
    if ((x ^ cells[2]) & 67108864u)
        x = x * 474046497u + 523;
    else
        cells[2] += x ^= x >> 5;
    if ((x ^ cells[11]) & 2048u)
        x = x * 1735924517u + 524;
    else
        cells[11] += x ^= x >> 9;
    if (x >> 15 & 1)
        x = x * 832735855u + 525;
    else
        cells[24] += x ^= x >> 10;
    if (x >> 14 & 1)
        x = x * 3342473721u + 526;
    else
        cells[58] += x ^= x >> 8;
    if (x >> 26 & 1)
        x = x * 2335424713u + 527;
    else
        cells[28] += x ^= x >> 6;
    if (x >> 5 & 1)
        x = x * 1386917673u + 528;
    else
        cells[14] += x ^= x >> 2;
    if ((x >> 20 & 15) > 2)
        x = x * 3660393231u + 529;
    else
        cells[40] += x ^= x >> 3;
    if (x >> 2 & 1)
        x = x * 1345381655u + 530;
    else
        cells[63] += x ^= x >> 1;
    if (x >> 5 & 1)
        x = x * 161263909u + 531;
    else
        cells[25] += x ^= x >> 13;
    if ((x >> 6 & 15) > 0)
        x = x * 2996103545u + 532;
    else
        cells[5] += x ^= x >> 1;
    if ((x >> 17 & 15) > 1)
        x = x * 1353317803u + 533;
    else
        cells[36] += x ^= x >> 2;
    if (x >> 18 & 1)
        x = x * 2067880713u + 534;
    else
        cells[57] += x ^= x >> 6;
    if (x < 2121463653u)
        x = x * 479551495u + 535;
    else
        cells[12] += x ^= x >> 7;
    if (x >> 3 & 1)
        x = x * 4168361819u + 536;
    else
        cells[53] += x ^= x >> 13;
    if (x >> 25 & 1)
        x = x * 2169649273u + 537;
    else
        cells[22] += x ^= x >> 3;
    if (x < 2649712065u)
        x = x * 2224115837u + 538;
    else
        cells[19] += x ^= x >> 3;
    if ((x ^ cells[57]) & 8u)
        x = x * 2488290049u + 539;
    else
        cells[57] += x ^= x >> 4;
    if ((x >> 16 & 15) > 1)
        x = x * 2615831785u + 540;
    else
        cells[51] += x ^= x >> 2;
    if (x < 2189952974u)
        x = x * 574222483u + 541;
    else
        cells[6] += x ^= x >> 12;
    if ((x ^ cells[23]) & 2097152u)
        x = x * 3738241897u + 542;
    else
        cells[23] += x ^= x >> 5;
    if (x >> 14 & 1)
        x = x * 4067806929u + 543;
    else
        cells[6] += x ^= x >> 13;
    if (x < 788750396u)
        x = x * 486266001u + 544;
    else
        cells[36] += x ^= x >> 6;
    if (x >> 7 & 1)
        x = x * 558173825u + 545;
    else
        cells[43] += x ^= x >> 8;
    if (x < 2476704050u)
        x = x * 1579121719u + 546;
    else
        cells[27] += x ^= x >> 1;
    if (x >> 19 & 1)
        x = x * 4238022687u + 547;
    else
        cells[51] += x ^= x >> 4;
    if ((x >> 8 & 15) > 12)
        x = x * 2009119835u + 548;
    else
        cells[31] += x ^= x >> 13;
    if ((x >> 27 & 15) > 1)
        x = x * 2811123869u + 549;
    else
        cells[51] += x ^= x >> 2;
    if ((x ^ cells[26]) & 16u)
        x = x * 114021557u + 550;
    else
        cells[26] += x ^= x >> 8;
    if ((x ^ cells[48]) & 8u)
        x = x * 1343911633u + 551;
    else
        cells[48] += x ^= x >> 14;
    if ((x >> 20 & 15) > 0)
        x = x * 3940421463u + 552;
    else
        cells[12] += x ^= x >> 1;
    if ((x >> 8 & 15) > 10)
        x = x * 2015148629u + 553;
    else
        cells[62] += x ^= x >> 11;
    if (x >> 22 & 1)
        x = x * 2657558227u + 554;
    else
        cells[12] += x ^= x >> 12;
    if ((x >> 26 & 15) > 11)
        x = x * 3802527571u + 555;
    else
        cells[21] += x ^= x >> 12;
    if (x >> 21 & 1)
        x = x * 1448903967u + 556;
    else
        cells[1] += x ^= x >> 1;
    if ((x >> 2 & 15) > 3)
        x = x * 3355328313u + 557;
    else
        cells[21] += x ^= x >> 4;
    if (x >> 19 & 1)
        x = x * 767371069u + 558;
    else
        cells[16] += x ^= x >> 5;
    if ((x ^ cells[57]) & 64u)
        x = x * 1027541195u + 559;
    else
        cells[57] += x ^= x >> 12;
    if (x >> 23 & 1)
        x = x * 3942246517u + 560;
    else
        cells[47] += x ^= x >> 4;
    if (x >> 14 & 1)
        x = x * 667087589u + 561;
    else
        cells[42] += x ^= x >> 6;
    if ((x ^ cells[63]) & 128u)
        x = x * 3745534073u + 562;
    else
        cells[63] += x ^= x >> 1;
    if ((x ^ cells[40]) & 16777216u)
        x = x * 2482047779u + 563;
    else
        cells[40] += x ^= x >> 5;
    if ((x >> 7 & 15) > 3)
        x = x * 855856177u + 564;
    else
        cells[50] += x ^= x >> 4;
    if (x < 2373009990u)
        x = x * 2147273643u + 565;
    else
        cells[15] += x ^= x >> 8;
    if (x < 3333313865u)
        x = x * 4259209929u + 566;
    else
        cells[43] += x ^= x >> 1;
    if (x >> 10 & 1)
        x = x * 763338553u + 567;
    else
        cells[52] += x ^= x >> 8;
    if ((x ^ cells[21]) & 32u)
        x = x * 3929027811u + 568;
    else
        cells[21] += x ^= x >> 2;
    if (x >> 4 & 1)
        x = x * 3981370667u + 569;
    else
        cells[63] += x ^= x >> 7;
    if ((x >> 21 & 15) > 9)
        x = x * 1267509467u + 570;
    else
        cells[16] += x ^= x >> 10;
    if (x >> 12 & 1)
        x = x * 3990523453u + 571;
    else
        cells[19] += x ^= x >> 3;
    if ((x ^ cells[49]) & 2u)
        x = x * 1497763001u + 572;
    else
        cells[49] += x ^= x >> 7;
    if ((x ^ cells[44]) & 524288u)
        x = x * 253585375u + 573;
    else
        cells[44] += x ^= x >> 6;
    if ((x >> 1 & 15) > 13)
        x = x * 121771127u + 574;
    else
        cells[49] += x ^= x >> 14;
    if ((x >> 24 & 15) > 1)
        x = x * 2939557105u + 575;
    else
        cells[36] += x ^= x >> 2;
    if ((x ^ cells[49]) & 33554432u)
        x = x * 3081410283u + 576;
    else
        cells[49] += x ^= x >> 6;
    if (x >> 2 & 1)
        x = x * 4207315321u + 577;
    else
        cells[45] += x ^= x >> 15;
    if ((x ^ cells[34]) & 4096u)
        x = x * 2684602809u + 578;
    else
        cells[34] += x ^= x >> 13;
    if (x < 3615569568u)
        x = x * 286179823u + 579;
    else
        cells[54] += x ^= x >> 6;
    if (x < 212407968u)
        x = x * 4207722911u + 580;
    else
        cells[32] += x ^= x >> 9;
    if (x >> 13 & 1)
        x = x * 173818501u + 581;
    else
        cells[2] += x ^= x >> 9;
    if ((x >> 4 & 15) > 14)
        x = x * 2523215451u + 582;
    else
        cells[45] += x ^= x >> 15;
    if ((x >> 26 & 15) > 11)
        x = x * 4013949373u + 583;
    else
        cells[39] += x ^= x >> 12;
    if ((x ^ cells[40]) & 524288u)
        x = x * 438891583u + 584;
    else
        cells[40] += x ^= x >> 14;
    if (x < 1710113835u)
        x = x * 2636150561u + 585;
    else
        cells[2] += x ^= x >> 2;
    if ((x >> 1 & 15) > 3)
        x = x * 148736823u + 586;
    else
        cells[42] += x ^= x >> 4;
    if ((x >> 5 & 15) > 1)
        x = x * 2622055531u + 587;
    else
        cells[41] += x ^= x >> 2;
    if ((x >> 16 & 15) > 4)
        x = x * 3931662855u + 588;
    else
        cells[10] += x ^= x >> 5;
    if ((x ^ cells[49]) & 512u)
        x = x * 2540698451u + 589;
    else
        cells[49] += x ^= x >> 8;
    if ((x >> 19 & 15) > 8)
        x = x * 683932063u + 590;
    else
        cells[38] += x ^= x >> 9;
    if ((x >> 25 & 15) > 0)
        x = x * 3900183525u + 591;
    else
        cells[7] += x ^= x >> 1;
    if ((x ^ cells[41]) & 131072u)
        x = x * 104654389u + 592;
    else
        cells[41] += x ^= x >> 6;
    if ((x >> 14 & 15) > 1)
        x = x * 3273906109u + 593;
    else
        cells[22] += x ^= x >> 2;
    if ((x ^ cells[51]) & 256u)
        x = x * 4233708123u + 594;
    else
        cells[51] += x ^= x >> 9;
    if (x < 3861555316u)
        x = x * 1264083143u + 595;
    else
        cells[38] += x ^= x >> 8;
    if ((x ^ cells[53]) & 524288u)
        x = x * 2568104871u + 596;
    else
        cells[53] += x ^= x >> 15;
    if (x >> 7 & 1)
        x = x * 3149060901u + 597;
    else
        cells[14] += x ^= x >> 15;
    if ((x >> 15 & 15) > 7)
        x = x * 683560237u + 598;
    else
        cells[1] += x ^= x >> 8;
    if (x < 1110656854u)
        x = x * 1787774817u + 599;
    else
        cells[16] += x ^= x >> 5;
    if (x >> 4 & 1)
        x = x * 1606583047u + 600;
    else
        cells[22] += x ^= x >> 4;
    if ((x ^ cells[19]) & 67108864u)
        x = x * 3325992581u + 601;
    else
        cells[19] += x ^= x >> 10;
    if (x < 506625901u)
        x = x * 2357603571u + 602;
    else
        cells[62] += x ^= x >> 8;
    if ((x ^ cells[15]) & 4u)
        x = x * 1610695093u + 603;
    else
        cells[15] += x ^= x >> 3;
    if ((x ^ cells[39]) & 256u)
        x = x * 2374736215u + 604;
    else
        cells[39] += x ^= x >> 7;
    if (x < 1964200673u)
        x = x * 1361576179u + 605;
    else
        cells[40] += x ^= x >> 1;
    if (x < 4139041792u)
        x = x * 2314233337u + 606;
    else
        cells[30] += x ^= x >> 2;
    if ((x >> 18 & 15) > 5)
        x = x * 857928363u + 607;
    else
        cells[49] += x ^= x >> 6;
    if ((x ^ cells[16]) & 4194304u)
        x = x * 1992050763u + 608;
    else
        cells[16] += x ^= x >> 7;
    if ((x ^ cells[41]) & 4096u)
        x = x * 1400740375u + 609;
    else
        cells[41] += x ^= x >> 4;
    if (x >> 19 & 1)
        x = x * 1573028301u + 610;
    else
        cells[48] += x ^= x >> 8;
    if ((x >> 8 & 15) > 14)
        x = x * 3832734349u + 611;
    else
        cells[28] += x ^= x >> 15;
    if (x < 850342800u)
        x = x * 4094369027u + 612;
    else
        cells[55] += x ^= x >> 8;
    if ((x >> 22 & 15) > 11)
        x = x * 3197812511u + 613;
    else
        cells[3] += x ^= x >> 12;
    if (x < 574627569u)
        x = x * 3643059603u + 614;
    else
        cells[57] += x ^= x >> 1;
    if ((x ^ cells[34]) & 1048576u)
        x = x * 881198115u + 615;
    else
        cells[34] += x ^= x >> 13;
    if (x < 1575022504u)
        x = x * 3402194425u + 616;
    else
        cells[35] += x ^= x >> 9;
    if ((x >> 14 & 15) > 8)
        x = x * 666495425u + 617;
    else
        cells[0] += x ^= x >> 9;
    if (x < 780116248u)
        x = x * 3494787463u + 618;
    else
        cells[25] += x ^= x >> 7;
    if (x < 3040680934u)
        x = x * 3048200705u + 619;
    else
        cells[23] += x ^= x >> 8;
    if (x >> 23 & 1)
        x = x * 1755939187u + 620;
    else
        cells[17] += x ^= x >> 7;
    if (x < 870491433u)
        x = x * 3885936073u + 621;
    else
        cells[26] += x ^= x >> 8;
    if ((x >> 18 & 15) > 11)
        x = x * 3649195929u + 622;
    else
        cells[32] += x ^= x >> 12;
    if ((x ^ cells[21]) & 2u)
        x = x * 240235191u + 623;
    else
        cells[21] += x ^= x >> 4;
    if ((x ^ cells[31]) & 256u)
        x = x * 3278655139u + 624;
    else
        cells[31] += x ^= x >> 8;
    if ((x >> 0 & 15) > 6)
        x = x * 3759946129u + 625;
    else
        cells[39] += x ^= x >> 7;
    if (x >> 10 & 1)
        x = x * 4038505185u + 626;
    else
        cells[53] += x ^= x >> 14;
    if (x < 2897699902u)
        x = x * 196583003u + 627;
    else
        cells[36] += x ^= x >> 9;
    if ((x ^ cells[40]) & 8192u)
        x = x * 3793662049u + 628;
    else
        cells[40] += x ^= x >> 5;
    if (x >> 2 & 1)
        x = x * 4247531963u + 629;
    else
        cells[54] += x ^= x >> 3;
    if ((x >> 11 & 15) > 7)
        x = x * 3485867241u + 630;
    else
        cells[4] += x ^= x >> 8;
    if (x < 918942766u)
        x = x * 3466100749u + 631;
    else
        cells[0] += x ^= x >> 10;
    if (x < 3612921341u)
        x = x * 4198343967u + 632;
    else
        cells[49] += x ^= x >> 3;
    if (x < 2104090732u)
        x = x * 583963283u + 633;
    else
        cells[61] += x ^= x >> 5;
    if ((x ^ cells[55]) & 8u)
        x = x * 3053705675u + 634;
    else
        cells[55] += x ^= x >> 13;
    if (x >> 23 & 1)
        x = x * 414539003u + 635;
    else
        cells[15] += x ^= x >> 2;
    if (x < 268122804u)
        x = x * 2779931011u + 636;
    else
        cells[2] += x ^= x >> 10;
    if ((x >> 14 & 15) > 1)
        x = x * 2002633569u + 637;
    else
        cells[56] += x ^= x >> 2;
    if ((x >> 3 & 15) > 0)
        x = x * 3099179989u + 638;
    else
        cells[21] += x ^= x >> 1;
    if (x >> 7 & 1)
        x = x * 1336024449u + 639;
    else
        cells[41] += x ^= x >> 7;
    if (x >> 5 & 1)
        x = x * 1820843785u + 640;
    else
        cells[58] += x ^= x >> 9;
    if ((x ^ cells[15]) & 16u)
        x = x * 4132576535u + 641;
    else
        cells[15] += x ^= x >> 6;
    if ((x >> 22 & 15) > 13)
        x = x * 3103054695u + 642;
    else
        cells[42] += x ^= x >> 14;
    if (x < 3667978135u)
        x = x * 3016483117u + 643;
    else
        cells[59] += x ^= x >> 10;
    if ((x >> 10 & 15) > 12)
        x = x * 1441903743u + 644;
    else
        cells[0] += x ^= x >> 13;
    if (x < 3107327580u)
        x = x * 3167932863u + 645;
    else
        cells[12] += x ^= x >> 13;
    if (x >> 9 & 1)
        x = x * 3687291827u + 646;
    else
        cells[42] += x ^= x >> 7;
    if (x >> 23 & 1)
        x = x * 450977263u + 647;
    else
        cells[33] += x ^= x >> 9;
    if ((x ^ cells[42]) & 64u)
        x = x * 638614629u + 648;
    else
        cells[42] += x ^= x >> 12;
    if (x >> 4 & 1)
        x = x * 2724208877u + 649;
    else
        cells[18] += x ^= x >> 7;
    if (x < 263776582u)
        x = x * 3118407569u + 650;
    else
        cells[39] += x ^= x >> 10;
    if ((x >> 12 & 15) > 7)
        x = x * 384791203u + 651;
    else
        cells[31] += x ^= x >> 8;
    if ((x ^ cells[19]) & 4u)
        x = x * 115647761u + 652;
    else
        cells[19] += x ^= x >> 7;
    if ((x >> 0 & 15) > 11)
        x = x * 3337165979u + 653;
    else
        cells[7] += x ^= x >> 12;
    if (x >> 14 & 1)
        x = x * 2091341395u + 654;
    else
        cells[36] += x ^= x >> 3;
    if (x < 3835658256u)
        x = x * 218258707u + 655;
    else
        cells[35] += x ^= x >> 4;
    if ((x ^ cells[2]) & 65536u)
        x = x * 1149119185u + 656;
    else
        cells[2] += x ^= x >> 3;
    if (x < 2901655149u)
        x = x * 1523782699u + 657;
    else
        cells[0] += x ^= x >> 4;
    if (x >> 9 & 1)
        x = x * 446716499u + 658;
    else
        cells[38] += x ^= x >> 5;
    if (x >> 20 & 1)
        x = x * 1765511013u + 659;
    else
        cells[14] += x ^= x >> 9;
    if ((x >> 16 & 15) > 7)
        x = x * 3227899385u + 660;
    else
        cells[53] += x ^= x >> 8;
    if ((x ^ cells[1]) & 33554432u)
        x = x * 1905654945u + 661;
    else
        cells[1] += x ^= x >> 13;
    if (x >> 21 & 1)
        x = x * 2315324485u + 662;
    else
        cells[0] += x ^= x >> 3;
    if (x < 3550380165u)
        x = x * 3627914261u + 663;
    else
        cells[10] += x ^= x >> 3;
    if ((x >> 7 & 15) > 11)
        x = x * 1168160995u + 664;
    else
        cells[29] += x ^= x >> 12;
    if (x < 2086183464u)
        x = x * 3191471313u + 665;
    else
        cells[0] += x ^= x >> 4;
    if ((x ^ cells[37]) & 4u)
        x = x * 727977631u + 666;
    else
        cells[37] += x ^= x >> 10;
    if ((x >> 20 & 15) > 7)
        x = x * 995947711u + 667;
    else
        cells[59] += x ^= x >> 8;
    if ((x ^ cells[3]) & 262144u)
        x = x * 313411879u + 668;
    else
        cells[3] += x ^= x >> 7;
    if (x < 3885729803u)
        x = x * 3734906613u + 669;
    else
        cells[20] += x ^= x >> 9;
    if (x >> 21 & 1)
        x = x * 1837362457u + 670;
    else
        cells[41] += x ^= x >> 3;
    if (x < 84829901u)
        x = x * 4216712961u + 671;
    else
        cells[26] += x ^= x >> 10;
    if ((x ^ cells[10]) & 1048576u)
        x = x * 1876363299u + 672;
    else
        cells[10] += x ^= x >> 9;
    if (x < 484827208u)
        x = x * 3533030217u + 673;
    else
        cells[54] += x ^= x >> 9;
    if ((x ^ cells[23]) & 16u)
        x = x * 3530284577u + 674;
    else
        cells[23] += x ^= x >> 7;
    if (x < 748437952u)
        x = x * 1542917771u + 675;
    else
        cells[57] += x ^= x >> 6;
    if (x >> 8 & 1)
        x = x * 377490741u + 676;
    else
        cells[7] += x ^= x >> 8;
    if ((x ^ cells[40]) & 2097152u)
        x = x * 3365321761u + 677;
    else
        cells[40] += x ^= x >> 7;
    if (x >> 9 & 1)
        x = x * 700709665u + 678;
    else
        cells[19] += x ^= x >> 15;
    if ((x >> 19 & 15) > 2)
        x = x * 2874850807u + 679;
    else
        cells[37] += x ^= x >> 3;
    if (x >> 4 & 1)
        x = x * 3633244147u + 680;
    else
        cells[10] += x ^= x >> 9;
    if ((x >> 1 & 15) > 3)
        x = x * 2281110505u + 681;
    else
        cells[13] += x ^= x >> 4;
    if ((x ^ cells[20]) & 8u)
        x = x * 1138661553u + 682;
    else
        cells[20] += x ^= x >> 2;
    if (x < 584605288u)
        x = x * 2311807485u + 683;
    else
        cells[39] += x ^= x >> 2;
    if ((x ^ cells[22]) & 64u)
        x = x * 3917338393u + 684;
    else
        cells[22] += x ^= x >> 7;
    if ((x ^ cells[59]) & 2u)
        x = x * 4003679635u + 685;
    else
        cells[59] += x ^= x >> 10;
    if ((x >> 16 & 15) > 1)
        x = x * 3866632095u + 686;
    else
        cells[59] += x ^= x >> 2;
    if (x < 1607121057u)
        x = x * 3561733779u + 687;
    else
        cells[30] += x ^= x >> 5;
    if ((x ^ cells[50]) & 67108864u)
        x = x * 2164182149u + 688;
    else
        cells[50] += x ^= x >> 7;
    if (x < 4283113069u)
        x = x * 310968475u + 689;
    else
        cells[22] += x ^= x >> 4;
    if ((x >> 0 & 15) > 0)
        x = x * 2095385923u + 690;
    else
        cells[36] += x ^= x >> 1;
    if ((x ^ cells[33]) & 16384u)
        x = x * 2848298703u + 691;
    else
        cells[33] += x ^= x >> 5;
    if (x >> 5 & 1)
        x = x * 1267475587u + 692;
    else
        cells[45] += x ^= x >> 12;
    if (x >> 13 & 1)
        x = x * 1066355897u + 693;
    else
        cells[21] += x ^= x >> 8;
    if ((x ^ cells[29]) & 524288u)
        x = x * 1718996577u + 694;
    else
        cells[29] += x ^= x >> 13;
    if (x < 462084073u)
        x = x * 2320032009u + 695;
    else
        cells[60] += x ^= x >> 10;
    if ((x >> 5 & 15) > 1)
        x = x * 125933739u + 696;
    else
        cells[1] += x ^= x >> 2;
    if (x >> 0 & 1)
        x = x * 3579300949u + 697;
    else
        cells[27] += x ^= x >> 13;
    if (x < 287125930u)
        x = x * 3198889137u + 698;
    else
        cells[46] += x ^= x >> 6;
    if (x < 1405736266u)
        x = x * 2652388465u + 699;
    else
        cells[27] += x ^= x >> 7;
    if (x < 696070604u)
        x = x * 2340134173u + 700;
    else
        cells[17] += x ^= x >> 10;
    if ((x >> 25 & 15) > 6)
        x = x * 3216893499u + 701;
    else
        cells[39] += x ^= x >> 7;
    if (x >> 23 & 1)
        x = x * 776256179u + 702;
    else
        cells[58] += x ^= x >> 8;
    if (x >> 9 & 1)
        x = x * 943863709u + 703;
    else
        cells[4] += x ^= x >> 5;
    if ((x >> 1 & 15) > 3)
        x = x * 1694015351u + 704;
    else
        cells[60] += x ^= x >> 4;
    if (x >> 9 & 1)
        x = x * 3657847133u + 705;
    else
        cells[43] += x ^= x >> 4;
    if (x >> 4 & 1)
        x = x * 356956895u + 706;
    else
        cells[49] += x ^= x >> 6;
    if ((x ^ cells[40]) & 8388608u)
        x = x * 493239443u + 707;
    else
        cells[40] += x ^= x >> 10;
    if ((x >> 16 & 15) > 12)
        x = x * 2482827095u + 708;
    else
        cells[28] += x ^= x >> 13;
    if (x < 1508949582u)
        x = x * 708216773u + 709;
    else
        cells[34] += x ^= x >> 9;
    if ((x >> 18 & 15) > 10)
        x = x * 2484389865u + 710;
    else
        cells[28] += x ^= x >> 11;
    if ((x >> 22 & 15) > 1)
        x = x * 119160349u + 711;
    else
        cells[48] += x ^= x >> 2;
    if ((x ^ cells[44]) & 16384u)
        x = x * 369592275u + 712;
    else
        cells[44] += x ^= x >> 11;
    if (x < 55763154u)
        x = x * 1955531663u + 713;
    else
        cells[48] += x ^= x >> 9;
    if (x >> 9 & 1)
        x = x * 392248183u + 714;
    else
        cells[17] += x ^= x >> 3;
    if ((x >> 27 & 15) > 8)
        x = x * 2212226803u + 715;
    else
        cells[17] += x ^= x >> 9;
    if (x < 2201023391u)
        x = x * 1618626121u + 716;
    else
        cells[16] += x ^= x >> 2;
    if ((x >> 9 & 15) > 6)
        x = x * 684749191u + 717;
    else
        cells[23] += x ^= x >> 7;
    if ((x ^ cells[39]) & 131072u)
        x = x * 689388737u + 718;
    else
        cells[39] += x ^= x >> 5;
    if (x < 212157388u)
        x = x * 4270693231u + 719;
    else
        cells[30] += x ^= x >> 14;
    if (x >> 11 & 1)
        x = x * 2046910269u + 720;
    else
        cells[14] += x ^= x >> 10;
    if (x >> 25 & 1)
        x = x * 3934244421u + 721;
    else
        cells[30] += x ^= x >> 2;
    if (x >> 12 & 1)
        x = x * 3165824285u + 722;
    else
        cells[20] += x ^= x >> 5;
    if ((x ^ cells[0]) & 4096u)
        x = x * 3230083001u + 723;
    else
        cells[0] += x ^= x >> 2;
    if ((x >> 17 & 15) > 10)
        x = x * 736726013u + 724;
    else
        cells[23] += x ^= x >> 11;
    if ((x ^ cells[46]) & 131072u)
        x = x * 2014939645u + 725;
    else
        cells[46] += x ^= x >> 8;
    if (x >> 27 & 1)
        x = x * 115647549u + 726;
    else
        cells[12] += x ^= x >> 7;
    if ((x >> 14 & 15) > 12)
        x = x * 1143416339u + 727;
    else
        cells[32] += x ^= x >> 13;
    if (x < 2942380379u)
        x = x * 81275435u + 728;
    else
        cells[5] += x ^= x >> 7;
    if ((x >> 12 & 15) > 7)
        x = x * 2803786275u + 729;
    else
        cells[47] += x ^= x >> 8;
    if ((x ^ cells[38]) & 16u)
        x = x * 2226960443u + 730;
    else
        cells[38] += x ^= x >> 6;
    if (x < 3098263860u)
        x = x * 446857183u + 731;
    else
        cells[50] += x ^= x >> 2;
    if (x >> 9 & 1)
        x = x * 2878907051u + 732;
    else
        cells[12] += x ^= x >> 4;
    if ((x >> 26 & 15) > 11)
        x = x * 52724141u + 733;
    else
        cells[5] += x ^= x >> 12;
    if (x >> 18 & 1)
        x = x * 3393128519u + 734;
    else
        cells[61] += x ^= x >> 5;
    if ((x ^ cells[51]) & 32u)
        x = x * 3882549903u + 735;
    else
        cells[51] += x ^= x >> 6;
    if ((x >> 18 & 15) > 0)
        x = x * 2975708553u + 736;
    else
        cells[62] += x ^= x >> 1;
    if (x < 1994414624u)
        x = x * 378408673u + 737;
    else
        cells[41] += x ^= x >> 3;
    if (x < 3193333799u)
        x = x * 3421418919u + 738;
    else
        cells[43] += x ^= x >> 10;
    if ((x ^ cells[8]) & 33554432u)
        x = x * 3248114077u + 739;
    else
        cells[8] += x ^= x >> 12;
    if ((x ^ cells[33]) & 32768u)
        x = x * 172911171u + 740;
    else
        cells[33] += x ^= x >> 11;
    if (x >> 2 & 1)
        x = x * 215817085u + 741;
    else
        cells[5] += x ^= x >> 9;
    if ((x ^ cells[21]) & 4u)
        x = x * 3735657301u + 742;
    else
        cells[21] += x ^= x >> 2;
    if (x < 3313996779u)
        x = x * 1744389795u + 743;
    else
        cells[52] += x ^= x >> 12;
    if ((x ^ cells[19]) & 8u)
        x = x * 4255010939u + 744;
    else
        cells[19] += x ^= x >> 4;
    if ((x ^ cells[36]) & 65536u)
        x = x * 2336364957u + 745;
    else
        cells[36] += x ^= x >> 3;
    if ((x ^ cells[20]) & 256u)
        x = x * 3296874235u + 746;
    else
        cells[20] += x ^= x >> 14;
    if (x < 4201723684u)
        x = x * 2747083075u + 747;
    else
        cells[8] += x ^= x >> 9;
    if ((x >> 7 & 15) > 1)
        x = x * 2159419125u + 748;
    else
        cells[0] += x ^= x >> 2;
    if (x >> 24 & 1)
        x = x * 2290229671u + 749;
    else
        cells[29] += x ^= x >> 2;
    if (x >> 26 & 1)
        x = x * 3355181571u + 750;
    else
        cells[28] += x ^= x >> 5;
    if (x >> 18 & 1)
        x = x * 953704605u + 751;
    else
        cells[56] += x ^= x >> 13;
    if (x >> 0 & 1)
        x = x * 2180577449u + 752;
    else
        cells[30] += x ^= x >> 9;
    if ((x ^ cells[15]) & 8192u)
        x = x * 377290599u + 753;
    else
        cells[15] += x ^= x >> 7;
    if ((x >> 25 & 15) > 5)
        x = x * 652797975u + 754;
    else
        cells[3] += x ^= x >> 6;
    if (x < 3884953982u)
        x = x * 4211500411u + 755;
    else
        cells[15] += x ^= x >> 7;
    if (x >> 11 & 1)
        x = x * 81628767u + 756;
    else
        cells[53] += x ^= x >> 7;
    if ((x ^ cells[58]) & 32u)
        x = x * 2335765813u + 757;
    else
        cells[58] += x ^= x >> 4;
    if ((x ^ cells[61]) & 33554432u)
        x = x * 1036235055u + 758;
    else
        cells[61] += x ^= x >> 9;
    if (x < 453252864u)
        x = x * 215602619u + 759;
    else
        cells[45] += x ^= x >> 7;
    if ((x >> 6 & 15) > 7)
        x = x * 580351701u + 760;
    else
        cells[50] += x ^= x >> 8;
    if (x >> 8 & 1)
        x = x * 1401591037u + 761;
    else
        cells[23] += x ^= x >> 5;
    if (x < 1373964437u)
        x = x * 727193667u + 762;
    else
        cells[11] += x ^= x >> 10;
    if ((x >> 22 & 15) > 12)
        x = x * 2659127643u + 763;
    else
        cells[17] += x ^= x >> 13;
    if (x < 145973884u)
        x = x * 3820361371u + 764;
    else
        cells[40] += x ^= x >> 4;
    if (x < 53712809u)
        x = x * 3858055379u + 765;
    else
        cells[36] += x ^= x >> 4;
    if ((x >> 17 & 15) > 2)
        x = x * 2951451655u + 766;
    else
        cells[19] += x ^= x >> 3;
    if ((x >> 5 & 15) > 0)
        x = x * 357867665u + 767;
    else
        cells[19] += x ^= x >> 1;
    if (x >> 20 & 1)
        x = x * 470290303u + 768;
    else
        cells[45] += x ^= x >> 11;
    if (x >> 19 & 1)
        x = x * 1768364895u + 769;
    else
        cells[24] += x ^= x >> 11;
    if (x < 4046846630u)
        x = x * 1397021231u + 770;
    else
        cells[15] += x ^= x >> 3;
    if (x >> 22 & 1)
        x = x * 3423159275u + 771;
    else
        cells[16] += x ^= x >> 8;
    if ((x >> 5 & 15) > 5)
        x = x * 662802395u + 772;
    else
        cells[7] += x ^= x >> 6;
    if (x >> 10 & 1)
        x = x * 4270027983u + 773;
    else
        cells[35] += x ^= x >> 12;
    if (x >> 9 & 1)
        x = x * 4162265573u + 774;
    else
        cells[17] += x ^= x >> 11;
    if ((x ^ cells[51]) & 524288u)
        x = x * 1846384073u + 775;
    else
        cells[51] += x ^= x >> 12;
    if ((x ^ cells[42]) & 32u)
        x = x * 381703037u + 776;
    else
        cells[42] += x ^= x >> 4;
    if (x < 2972938352u)
        x = x * 2907313973u + 777;
    else
        cells[34] += x ^= x >> 6;
    if (x >> 7 & 1)
        x = x * 2527715017u + 778;
    else
        cells[17] += x ^= x >> 2;
    if ((x ^ cells[22]) & 2097152u)
        x = x * 2810257867u + 779;
    else
        cells[22] += x ^= x >> 3;
    if (x >> 8 & 1)
        x = x * 142754119u + 780;
    else
        cells[51] += x ^= x >> 15;
    if (x >> 10 & 1)
        x = x * 3696097049u + 781;
    else
        cells[47] += x ^= x >> 11;
    if (x >> 14 & 1)
        x = x * 2678660147u + 782;
    else
        cells[36] += x ^= x >> 5;
    if (x >> 26 & 1)
        x = x * 3619158217u + 783;
    else
        cells[30] += x ^= x >> 14;
    if ((x >> 18 & 15) > 2)
        x = x * 2914197993u + 784;
    else
        cells[46] += x ^= x >> 3;
    if ((x >> 22 & 15) > 10)
        x = x * 921971435u + 785;
    else
        cells[62] += x ^= x >> 11;
    if (x < 1690078784u)
        x = x * 1765286573u + 786;
    else
        cells[26] += x ^= x >> 14;
    if ((x ^ cells[13]) & 16384u)
        x = x * 1263800253u + 787;
    else
        cells[13] += x ^= x >> 9;
    if (x >> 12 & 1)
        x = x * 995359681u + 788;
    else
        cells[20] += x ^= x >> 12;
    if ((x ^ cells[0]) & 4096u)
        x = x * 2430457539u + 789;
    else
        cells[0] += x ^= x >> 5;
    if (x >> 7 & 1)
        x = x * 836255287u + 790;
    else
        cells[56] += x ^= x >> 9;
    if ((x >> 3 & 15) > 5)
        x = x * 868995787u + 791;
    else
        cells[35] += x ^= x >> 6;
    if ((x ^ cells[39]) & 67108864u)
        x = x * 2662685001u + 792;
    else
        cells[39] += x ^= x >> 8;
    if ((x ^ cells[6]) & 32768u)
        x = x * 960263859u + 793;
    else
        cells[6] += x ^= x >> 3;
    if (x < 2379875215u)
        x = x * 4144802875u + 794;
    else
        cells[62] += x ^= x >> 9;
    if ((x ^ cells[51]) & 32u)
        x = x * 3168844969u + 795;
    else
        cells[51] += x ^= x >> 6;
    if ((x ^ cells[22]) & 1048576u)
        x = x * 1936353653u + 796;
    else
        cells[22] += x ^= x >> 4;
    if (x < 618261258u)
        x = x * 2306994837u + 797;
    else
        cells[60] += x ^= x >> 3;
    if ((x ^ cells[0]) & 2u)
        x = x * 2347840691u + 798;
    else
        cells[0] += x ^= x >> 6;
    if (x < 1344273263u)
        x = x * 385626919u + 799;
    else
        cells[42] += x ^= x >> 2;
    if ((x >> 22 & 15) > 8)
        x = x * 3540989967u + 800;
    else
        cells[41] += x ^= x >> 9;
    if ((x ^ cells[0]) & 65536u)
        x = x * 3759190843u + 801;
    else
        cells[0] += x ^= x >> 1;
    if ((x ^ cells[47]) & 4u)
        x = x * 2307866753u + 802;
    else
        cells[47] += x ^= x >> 10;
    if ((x ^ cells[35]) & 2097152u)
        x = x * 4100437247u + 803;
    else
        cells[35] += x ^= x >> 9;
    if (x < 4079207559u)
        x = x * 4219297139u + 804;
    else
        cells[26] += x ^= x >> 10;
    if ((x ^ cells[46]) & 2097152u)
        x = x * 1875422197u + 805;
    else
        cells[46] += x ^= x >> 1;
    if ((x ^ cells[16]) & 1048576u)
        x = x * 2628179625u + 806;
    else
        cells[16] += x ^= x >> 10;
    if ((x >> 1 & 15) > 12)
        x = x * 2658815649u + 807;
    else
        cells[23] += x ^= x >> 13;
    if (x < 1092667364u)
        x = x * 3773127351u + 808;
    else
        cells[46] += x ^= x >> 13;
    if (x >> 2 & 1)
        x = x * 3163947225u + 809;
    else
        cells[30] += x ^= x >> 5;
    if ((x ^ cells[8]) & 64u)
        x = x * 2684052365u + 810;
    else
        cells[8] += x ^= x >> 13;
    if (x < 1086247154u)
        x = x * 14008117u + 811;
    else
        cells[13] += x ^= x >> 1;
    if (x < 303707990u)
        x = x * 955079581u + 812;
    else
        cells[51] += x ^= x >> 11;
    if (x < 451156706u)
        x = x * 3503411913u + 813;
    else
        cells[12] += x ^= x >> 12;
    if ((x ^ cells[56]) & 4u)
        x = x * 3651947083u + 814;
    else
        cells[56] += x ^= x >> 9;
    if ((x ^ cells[28]) & 2u)
        x = x * 479210653u + 815;
    else
        cells[28] += x ^= x >> 9;
    if (x < 1851230526u)
        x = x * 429676469u + 816;
    else
        cells[0] += x ^= x >> 11;
    if (x >> 18 & 1)
        x = x * 487838631u + 817;
    else
        cells[20] += x ^= x >> 10;
    if (x < 2728526343u)
        x = x * 2866647829u + 818;
    else
        cells[43] += x ^= x >> 3;
    if ((x >> 5 & 15) > 5)
        x = x * 3181490441u + 819;
    else
        cells[41] += x ^= x >> 6;
    if (x < 360435719u)
        x = x * 2062309999u + 820;
    else
        cells[62] += x ^= x >> 1;
    if (x >> 4 & 1)
        x = x * 3084047021u + 821;
    else
        cells[15] += x ^= x >> 2;
    if (x < 3573024386u)
        x = x * 1724509523u + 822;
    else
        cells[3] += x ^= x >> 7;
    if (x >> 25 & 1)
        x = x * 68517097u + 823;
    else
        cells[13] += x ^= x >> 8;
    if (x >> 25 & 1)
        x = x * 1541673747u + 824;
    else
        cells[16] += x ^= x >> 7;
    if ((x >> 16 & 15) > 3)
        x = x * 329033277u + 825;
    else
        cells[49] += x ^= x >> 4;
    if ((x ^ cells[6]) & 67108864u)
        x = x * 1572826923u + 826;
    else
        cells[6] += x ^= x >> 7;
    if (x >> 23 & 1)
        x = x * 282210521u + 827;
    else
        cells[60] += x ^= x >> 10;
    if (x < 1792814233u)
        x = x * 3890191287u + 828;
    else
        cells[34] += x ^= x >> 8;
    if (x < 2645602498u)
        x = x * 3660277073u + 829;
    else
        cells[16] += x ^= x >> 9;
    if (x < 2740517774u)
        x = x * 3938812797u + 830;
    else
        cells[9] += x ^= x >> 6;
    if (x < 976309843u)
        x = x * 3275979129u + 831;
    else
        cells[47] += x ^= x >> 7;
    if (x < 1310914691u)
        x = x * 2969634659u + 832;
    else
        cells[20] += x ^= x >> 11;
    if (x >> 11 & 1)
        x = x * 2484878079u + 833;
    else
        cells[63] += x ^= x >> 6;
    if (x < 4132230967u)
        x = x * 4220475461u + 834;
    else
        cells[39] += x ^= x >> 3;
    if ((x ^ cells[35]) & 256u)
        x = x * 2271990491u + 835;
    else
        cells[35] += x ^= x >> 4;
    if (x < 1840842357u)
        x = x * 3354031125u + 836;
    else
        cells[32] += x ^= x >> 14;
    if (x >> 9 & 1)
        x = x * 3162240095u + 837;
    else
        cells[7] += x ^= x >> 10;
    if (x >> 20 & 1)
        x = x * 4199143669u + 838;
    else
        cells[63] += x ^= x >> 11;
    if ((x ^ cells[60]) & 4194304u)
        x = x * 1314218007u + 839;
    else
        cells[60] += x ^= x >> 2;
    if ((x >> 14 & 15) > 11)
        x = x * 1807606137u + 840;
    else
        cells[17] += x ^= x >> 12;
    if (x < 2522267303u)
        x = x * 1928558475u + 841;
    else
        cells[43] += x ^= x >> 5;
    if (x >> 22 & 1)
        x = x * 2636308957u + 842;
    else
        cells[49] += x ^= x >> 14;
    if (x < 4223876988u)
        x = x * 4152779643u + 843;
    else
        cells[47] += x ^= x >> 4;
    if (x >> 9 & 1)
        x = x * 2645851647u + 844;
    else
        cells[58] += x ^= x >> 6;
    if ((x >> 14 & 15) > 11)
        x = x * 3505427461u + 845;
    else
        cells[60] += x ^= x >> 12;
    if (x < 1084169413u)
        x = x * 4033568121u + 846;
    else
        cells[59] += x ^= x >> 8;
    if ((x >> 7 & 15) > 10)
        x = x * 1948912567u + 847;
    else
        cells[57] += x ^= x >> 11;
    if ((x ^ cells[50]) & 16u)
        x = x * 4143259451u + 848;
    else
        cells[50] += x ^= x >> 7;
    if ((x ^ cells[55]) & 2048u)
        x = x * 2898633783u + 849;
    else
        cells[55] += x ^= x >> 11;
    if ((x ^ cells[48]) & 4096u)
        x = x * 1460975981u + 850;
    else
        cells[48] += x ^= x >> 15;
    if ((x >> 22 & 15) > 12)
        x = x * 2225861451u + 851;
    else
        cells[42] += x ^= x >> 13;
    if (x >> 8 & 1)
        x = x * 2176796651u + 852;
    else
        cells[43] += x ^= x >> 3;
    if (x >> 15 & 1)
        x = x * 130552405u + 853;
    else
        cells[20] += x ^= x >> 10;
    if (x < 4280467817u)
        x = x * 2663016389u + 854;
    else
        cells[36] += x ^= x >> 10;
    if (x < 3592310925u)
        x = x * 3260820581u + 855;
    else
        cells[45] += x ^= x >> 6;
    if ((x ^ cells[9]) & 2097152u)
        x = x * 3172466451u + 856;
    else
        cells[9] += x ^= x >> 10;
    if ((x >> 7 & 15) > 6)
        x = x * 743565323u + 857;
    else
        cells[3] += x ^= x >> 7;
    if ((x ^ cells[33]) & 8388608u)
        x = x * 1995391405u + 858;
    else
        cells[33] += x ^= x >> 12;
    if (x >> 16 & 1)
        x = x * 105155307u + 859;
    else
        cells[38] += x ^= x >> 13;
    if ((x >> 18 & 15) > 11)
        x = x * 2163144285u + 860;
    else
        cells[14] += x ^= x >> 12;
    if ((x ^ cells[55]) & 8388608u)
        x = x * 2688808711u + 861;
    else
        cells[55] += x ^= x >> 13;
    if (x < 1527206341u)
        x = x * 752172541u + 862;
    else
        cells[41] += x ^= x >> 12;
    if ((x ^ cells[34]) & 524288u)
        x = x * 184205945u + 863;
    else
        cells[34] += x ^= x >> 6;
    if ((x >> 21 & 15) > 10)
        x = x * 3369332115u + 864;
    else
        cells[34] += x ^= x >> 11;
    if ((x >> 24 & 15) > 9)
        x = x * 3656660517u + 865;
    else
        cells[29] += x ^= x >> 10;
    if (x >> 12 & 1)
        x = x * 554885965u + 866;
    else
        cells[48] += x ^= x >> 12;
    if (x >> 19 & 1)
        x = x * 1222433999u + 867;
    else
        cells[44] += x ^= x >> 4;
    if (x < 4169131695u)
        x = x * 1701910963u + 868;
    else
        cells[16] += x ^= x >> 5;
    if ((x ^ cells[59]) & 64u)
        x = x * 2225481173u + 869;
    else
        cells[59] += x ^= x >> 3;
    if ((x ^ cells[54]) & 2097152u)
        x = x * 2823481085u + 870;
    else
        cells[54] += x ^= x >> 7;
    if ((x ^ cells[21]) & 16384u)
        x = x * 1356428553u + 871;
    else
        cells[21] += x ^= x >> 12;
    if (x >> 26 & 1)
        x = x * 1657314377u + 872;
    else
        cells[40] += x ^= x >> 9;
    if (x < 3999615598u)
        x = x * 2360527797u + 873;
    else
        cells[55] += x ^= x >> 12;
    if ((x >> 15 & 15) > 10)
        x = x * 3473072461u + 874;
    else
        cells[57] += x ^= x >> 11;
    if (x < 2003228816u)
        x = x * 2742881891u + 875;
    else
        cells[27] += x ^= x >> 8;
    if (x < 1981489050u)
        x = x * 1942897979u + 876;
    else
        cells[47] += x ^= x >> 11;
    if ((x >> 25 & 15) > 6)
        x = x * 307152449u + 877;
    else
        cells[2] += x ^= x >> 7;
    if ((x ^ cells[9]) & 1024u)
        x = x * 137150645u + 878;
    else
        cells[9] += x ^= x >> 7;
    if (x >> 24 & 1)
        x = x * 1855539387u + 879;
    else
        cells[29] += x ^= x >> 13;
    if ((x ^ cells[42]) & 524288u)
        x = x * 3211791205u + 880;
    else
        cells[42] += x ^= x >> 6;
    if ((x ^ cells[7]) & 16u)
        x = x * 3059164505u + 881;
    else
        cells[7] += x ^= x >> 9;
    if ((x >> 4 & 15) > 12)
        x = x * 1423199999u + 882;
    else
        cells[58] += x ^= x >> 13;
    if (x < 501680047u)
        x = x * 2440647847u + 883;
    else
        cells[16] += x ^= x >> 14;
    if (x < 1670216059u)
        x = x * 496600595u + 884;
    else
        cells[62] += x ^= x >> 8;
    if ((x >> 10 & 15) > 12)
        x = x * 4217292643u + 885;
    else
        cells[58] += x ^= x >> 13;
    if (x >> 17 & 1)
        x = x * 2077952599u + 886;
    else
        cells[63] += x ^= x >> 12;
    if (x >> 12 & 1)
        x = x * 2381433401u + 887;
    else
        cells[3] += x ^= x >> 6;
    if ((x ^ cells[16]) & 8u)
        x = x * 1181240767u + 888;
    else
        cells[16] += x ^= x >> 10;
    if ((x ^ cells[27]) & 2048u)
        x = x * 3981699331u + 889;
    else
        cells[27] += x ^= x >> 3;
    if ((x ^ cells[41]) & 64u)
        x = x * 419401375u + 890;
    else
        cells[41] += x ^= x >> 7;
    if (x >> 1 & 1)
        x = x * 3553104611u + 891;
    else
        cells[40] += x ^= x >> 8;
    if ((x ^ cells[30]) & 1048576u)
        x = x * 1932209351u + 892;
    else
        cells[30] += x ^= x >> 12;
    if (x >> 14 & 1)
        x = x * 1934179245u + 893;
    else
        cells[19] += x ^= x >> 8;
    if ((x >> 18 & 15) > 10)
        x = x * 1840945557u + 894;
    else
        cells[16] += x ^= x >> 11;
    if ((x >> 23 & 15) > 0)
        x = x * 775590437u + 895;
    else
        cells[26] += x ^= x >> 1;
    if ((x ^ cells[2]) & 2u)
        x = x * 1656474293u + 896;
    else
        cells[2] += x ^= x >> 3;
    if ((x ^ cells[10]) & 8388608u)
        x = x * 2164559471u + 897;
    else
        cells[10] += x ^= x >> 10;
    if ((x >> 11 & 15) > 6)
        x = x * 2608740587u + 898;
    else
        cells[26] += x ^= x >> 7;
    if (x < 2294933996u)
        x = x * 3503107849u + 899;
    else
        cells[30] += x ^= x >> 11;
    if (x >> 26 & 1)
        x = x * 134893697u + 900;
    else
        cells[12] += x ^= x >> 8;
    if (x < 2673707895u)
        x = x * 2596536747u + 901;
    else
        cells[18] += x ^= x >> 12;
    if ((x ^ cells[63]) & 67108864u)
        x = x * 3117494701u + 902;
    else
        cells[63] += x ^= x >> 8;
    if ((x ^ cells[9]) & 65536u)
        x = x * 3441312671u + 903;
    else
        cells[9] += x ^= x >> 3;
    if (x < 3464703378u)
        x = x * 3560315201u + 904;
    else
        cells[14] += x ^= x >> 4;
    if (x < 1359865006u)
        x = x * 3305150425u + 905;
    else
        cells[36] += x ^= x >> 3;
    if ((x ^ cells[36]) & 8u)
        x = x * 2327197395u + 906;
    else
        cells[36] += x ^= x >> 14;
    if (x < 2723170272u)
        x = x * 3921037995u + 907;
    else
        cells[59] += x ^= x >> 6;
    if (x >> 26 & 1)
        x = x * 4136228655u + 908;
    else
        cells[57] += x ^= x >> 2;
    if (x < 2429095033u)
        x = x * 4236399477u + 909;
    else
        cells[35] += x ^= x >> 10;
    if ((x ^ cells[25]) & 128u)
        x = x * 3002764283u + 910;
    else
        cells[25] += x ^= x >> 10;
    if (x < 2928282025u)
        x = x * 148585797u + 911;
    else
        cells[29] += x ^= x >> 9;
    if ((x >> 15 & 15) > 8)
        x = x * 134570823u + 912;
    else
        cells[48] += x ^= x >> 9;
    if ((x ^ cells[20]) & 4096u)
        x = x * 247500685u + 913;
    else
        cells[20] += x ^= x >> 10;
    if (x < 3563232139u)
        x = x * 4267505921u + 914;
    else
        cells[62] += x ^= x >> 4;
    if ((x >> 8 & 15) > 1)
        x = x * 2511496697u + 915;
    else
        cells[62] += x ^= x >> 2;
    if ((x >> 10 & 15) > 3)
        x = x * 2064139401u + 916;
    else
        cells[4] += x ^= x >> 4;
    if ((x ^ cells[54]) & 134217728u)
        x = x * 2539081699u + 917;
    else
        cells[54] += x ^= x >> 8;
    if ((x >> 21 & 15) > 13)
        x = x * 3779009755u + 918;
    else
        cells[41] += x ^= x >> 14;
    if ((x >> 23 & 15) > 2)
        x = x * 1348468663u + 919;
    else
        cells[3] += x ^= x >> 3;
    if ((x ^ cells[30]) & 1024u)
        x = x * 3855807601u + 920;
    else
        cells[30] += x ^= x >> 1;
    if (x < 107169283u)
        x = x * 1733080521u + 921;
    else
        cells[50] += x ^= x >> 10;
    if ((x ^ cells[29]) & 67108864u)
        x = x * 1753238711u + 922;
    else
        cells[29] += x ^= x >> 4;
    if (x >> 21 & 1)
        x = x * 2713248495u + 923;
    else
        cells[61] += x ^= x >> 2;
    if (x >> 14 & 1)
        x = x * 4007900885u + 924;
    else
        cells[41] += x ^= x >> 2;
    if (x < 1174969341u)
        x = x * 4010413965u + 925;
    else
        cells[48] += x ^= x >> 13;
    if ((x >> 8 & 15) > 2)
        x = x * 923745529u + 926;
    else
        cells[48] += x ^= x >> 3;
    if ((x >> 10 & 15) > 12)
        x = x * 613952399u + 927;
    else
        cells[27] += x ^= x >> 13;
    if ((x ^ cells[41]) & 2048u)
        x = x * 1351418685u + 928;
    else
        cells[41] += x ^= x >> 13;
    if ((x >> 22 & 15) > 5)
        x = x * 675385767u + 929;
    else
        cells[61] += x ^= x >> 6;
    if (x >> 22 & 1)
        x = x * 1125143935u + 930;
    else
        cells[1] += x ^= x >> 4;
    if (x < 2606287165u)
        x = x * 1039856935u + 931;
    else
        cells[8] += x ^= x >> 8;
    if (x < 378728331u)
        x = x * 1141173259u + 932;
    else
        cells[41] += x ^= x >> 11;
    if (x >> 22 & 1)
        x = x * 2124114505u + 933;
    else
        cells[1] += x ^= x >> 14;
    if ((x >> 26 & 15) > 12)
        x = x * 34416313u + 934;
    else
        cells[20] += x ^= x >> 13;
    if (x < 1746764159u)
        x = x * 2454566713u + 935;
    else
        cells[44] += x ^= x >> 10;
    if (x >> 9 & 1)
        x = x * 2149208077u + 936;
    else
        cells[0] += x ^= x >> 4;
    if ((x >> 7 & 15) > 11)
        x = x * 2535750143u + 937;
    else
        cells[19] += x ^= x >> 12;
    if ((x ^ cells[23]) & 1u)
        x = x * 1716155169u + 938;
    else
        cells[23] += x ^= x >> 1;
    if ((x >> 6 & 15) > 1)
        x = x * 3236125677u + 939;
    else
        cells[34] += x ^= x >> 2;
    if (x >> 17 & 1)
        x = x * 2852924383u + 940;
    else
        cells[5] += x ^= x >> 1;
    if ((x ^ cells[63]) & 4096u)
        x = x * 264572505u + 941;
    else
        cells[63] += x ^= x >> 7;
    if ((x >> 13 & 15) > 0)
        x = x * 3294688415u + 942;
    else
        cells[38] += x ^= x >> 1;
    if ((x >> 8 & 15) > 7)
        x = x * 3765478011u + 943;
    else
        cells[5] += x ^= x >> 8;
    if (x >> 14 & 1)
        x = x * 1279955573u + 944;
    else
        cells[54] += x ^= x >> 13;
    if (x >> 15 & 1)
        x = x * 2975191725u + 945;
    else
        cells[44] += x ^= x >> 5;
    if ((x >> 18 & 15) > 6)
        x = x * 1985681885u + 946;
    else
        cells[44] += x ^= x >> 7;
    if (x < 1839648728u)
        x = x * 3362531149u + 947;
    else
        cells[14] += x ^= x >> 5;
    if ((x ^ cells[4]) & 2048u)
        x = x * 1691195223u + 948;
    else
        cells[4] += x ^= x >> 11;
    if ((x ^ cells[36]) & 4u)
        x = x * 1032760693u + 949;
    else
        cells[36] += x ^= x >> 9;
    if (x < 3814293160u)
        x = x * 3418826849u + 950;
    else
        cells[4] += x ^= x >> 6;
    if (x < 2019080595u)
        x = x * 4180783071u + 951;
    else
        cells[27] += x ^= x >> 3;
    if (x < 766969413u)
        x = x * 3982419059u + 952;
    else
        cells[59] += x ^= x >> 1;
    if (x >> 22 & 1)
        x = x * 2280609605u + 953;
    else
        cells[6] += x ^= x >> 5;
    if (x < 157374726u)
        x = x * 2525821297u + 954;
    else
        cells[32] += x ^= x >> 4;
    if (x < 3409370565u)
        x = x * 219382519u + 955;
    else
        cells[49] += x ^= x >> 2;
    if (x < 2607065087u)
        x = x * 2840984887u + 956;
    else
        cells[47] += x ^= x >> 6;
    if ((x ^ cells[3]) & 8388608u)
        x = x * 2389966701u + 957;
    else
        cells[3] += x ^= x >> 2;
    if ((x ^ cells[58]) & 8192u)
        x = x * 3464979515u + 958;
    else
        cells[58] += x ^= x >> 12;
    if (x < 3990230808u)
        x = x * 1104746655u + 959;
    else
        cells[58] += x ^= x >> 2;
    if (x < 456238303u)
        x = x * 3951659039u + 960;
    else
        cells[59] += x ^= x >> 10;
    if (x < 1021201831u)
        x = x * 3302208135u + 961;
    else
        cells[6] += x ^= x >> 11;
    if ((x >> 11 & 15) > 1)
        x = x * 2377163563u + 962;
    else
        cells[33] += x ^= x >> 2;
    if (x < 2334733024u)
        x = x * 1117581607u + 963;
    else
        cells[58] += x ^= x >> 1;
    if ((x ^ cells[13]) & 67108864u)
        x = x * 3035518641u + 964;
    else
        cells[13] += x ^= x >> 1;
    if (x < 3113477093u)
        x = x * 875243333u + 965;
    else
        cells[36] += x ^= x >> 7;
    if ((x ^ cells[13]) & 2048u)
        x = x * 1465424009u + 966;
    else
        cells[13] += x ^= x >> 13;
    if (x >> 7 & 1)
        x = x * 3204629475u + 967;
    else
        cells[28] += x ^= x >> 11;
    if ((x >> 18 & 15) > 8)
        x = x * 764170113u + 968;
    else
        cells[31] += x ^= x >> 9;
    if ((x ^ cells[59]) & 128u)
        x = x * 4198248035u + 969;
    else
        cells[59] += x ^= x >> 13;
    if (x >> 6 & 1)
        x = x * 3401033903u + 970;
    else
        cells[31] += x ^= x >> 7;
    if (x >> 25 & 1)
        x = x * 83434291u + 971;
    else
        cells[60] += x ^= x >> 2;
    if ((x >> 3 & 15) > 7)
        x = x * 2613899255u + 972;
    else
        cells[15] += x ^= x >> 8;
    if (x >> 26 & 1)
        x = x * 2400803059u + 973;
    else
        cells[48] += x ^= x >> 11;
    if ((x >> 23 & 15) > 14)
        x = x * 2416266721u + 974;
    else
        cells[60] += x ^= x >> 15;
    if (x < 2516909375u)
        x = x * 491772169u + 975;
    else
        cells[31] += x ^= x >> 4;
    if ((x >> 12 & 15) > 6)
        x = x * 3868131839u + 976;
    else
        cells[7] += x ^= x >> 7;
    if ((x ^ cells[22]) & 512u)
        x = x * 307625801u + 977;
    else
        cells[22] += x ^= x >> 2;
    if (x >> 23 & 1)
        x = x * 3236785151u + 978;
    else
        cells[54] += x ^= x >> 6;
    if ((x >> 18 & 15) > 8)
        x = x * 461007411u + 979;
    else
        cells[44] += x ^= x >> 9;
    if (x < 3702817514u)
        x = x * 588950403u + 980;
    else
        cells[23] += x ^= x >> 14;
    if ((x >> 17 & 15) > 9)
        x = x * 3386817347u + 981;
    else
        cells[57] += x ^= x >> 10;
    if (x < 193172845u)
        x = x * 2172072741u + 982;
    else
        cells[44] += x ^= x >> 1;
    if ((x >> 10 & 15) > 11)
        x = x * 3117332495u + 983;
    else
        cells[9] += x ^= x >> 12;
    if (x < 2376834763u)
        x = x * 1363790963u + 984;
    else
        cells[16] += x ^= x >> 7;
    if (x >> 4 & 1)
        x = x * 2775018541u + 985;
    else
        cells[28] += x ^= x >> 8;
    if (x >> 24 & 1)
        x = x * 967028905u + 986;
    else
        cells[19] += x ^= x >> 11;
    if ((x ^ cells[56]) & 4096u)
        x = x * 558244295u + 987;
    else
        cells[56] += x ^= x >> 10;
    if (x < 1791334963u)
        x = x * 2881996487u + 988;
    else
        cells[8] += x ^= x >> 15;
    if ((x ^ cells[21]) & 16384u)
        x = x * 1004776307u + 989;
    else
        cells[21] += x ^= x >> 11;
    if ((x ^ cells[13]) & 32u)
        x = x * 379183957u + 990;
    else
        cells[13] += x ^= x >> 3;
    if (x < 2716322083u)
        x = x * 2254088293u + 991;
    else
        cells[14] += x ^= x >> 4;
    if (x < 3761860537u)
        x = x * 3959492769u + 992;
    else
        cells[42] += x ^= x >> 5;
    if (x < 3549649912u)
        x = x * 3577738123u + 993;
    else
        cells[13] += x ^= x >> 2;
    if ((x ^ cells[50]) & 4096u)
        x = x * 360831711u + 994;
    else
        cells[50] += x ^= x >> 2;
    if (x >> 6 & 1)
        x = x * 2502582857u + 995;
    else
        cells[56] += x ^= x >> 12;
    if (x < 4293371585u)
        x = x * 2264064065u + 996;
    else
        cells[29] += x ^= x >> 6;
    if (x >> 0 & 1)
        x = x * 207963899u + 997;
    else
        cells[38] += x ^= x >> 13;
    if ((x ^ cells[51]) & 16384u)
        x = x * 807896133u + 998;
    else
        cells[51] += x ^= x >> 6;
    if (x >> 2 & 1)
        x = x * 3040123813u + 999;
    else
        cells[37] += x ^= x >> 8;
    return x;
}

uint32_t run(uint32_t n)
{
    uint32_t sum = 1;
    while (n--)
        sum = mix(sum, branches(sum + n));
    return sum;
}
